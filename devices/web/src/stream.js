import { InputError } from "./errors.js";
import { Features } from "./features.js";
import { Resampler } from "./resampler.js";

const MIN_RATE = 8000; // Hz
const MAX_RATE = 192000;

/**
 * Runs the graph of a model. It holds no state of a stream, so many streams can use one engine.
 * @typedef {object} Engine
 * @property {(features: Float32Array, states: Record<string, Float32Array>) =>
 *   Promise<{logits: Float32Array, states: Record<string, Float32Array>}>} step
 *   runs one chunk: frames [chunk frames * bins] and all states by name; returns logits
 *   [chunk steps * symbols] and the next states
 */

/** A recording on its way through a model: samples of any rate in, logits out, step by step. */
export class Stream {
  #features;
  /** @type {Float32Array} frames of the next run of the network */
  #chunk;
  #frames = 0; // in the chunk
  #stepsToDrop; // the first outputs belong to times before the first sample
  #samples = 0; // at the model's rate
  #rate;
  /** @type {Resampler | null} */
  #resampler = null;
  /** @type {Record<string, Float32Array>} */
  #states;
  /** Calls wait for each other, so that they may overlap. @type {Promise<void>} */
  #turn = Promise.resolve();
  #finished = false;

  /**
   * @param {import("./specification.js").Specification} specification
   * @param {Engine} engine
   * @param {(logits: Float32Array) => void} sink called with the logits of each step
   */
  constructor(specification, engine, sink) {
    this.specification = specification;
    this.engine = engine;
    this.sink = sink;
    this.#features = new Features(specification.features, specification.mean, specification.std);
    this.#chunk = new Float32Array(specification.chunkFrames * specification.bins);
    this.#stepsToDrop = specification.warmup + specification.lookahead;
    this.#rate = specification.features.sampleRate;
    this.#states = Object.fromEntries(
      specification.states.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1))]),
    );
    this.#turn = this.#feed(new Float32Array(specification.samplesBefore));
  }

  /** Seconds of sound so far, to the millisecond. */
  get duration() {
    return Math.round((1000 * this.#samples) / this.specification.features.sampleRate) / 1000;
  }

  /**
   * Takes the next mono samples in -1 to 1. NaN and infinity count as 0.
   * @param {Float32Array} samples
   * @param {number} rate in Hz; it may change from call to call
   */
  accept(samples, rate) {
    if (this.#finished) {
      throw new Error("this stream is finished: begin a new one");
    }
    if (!(rate >= MIN_RATE && rate <= MAX_RATE)) {
      const best = this.specification.features.sampleRate;
      throw new InputError(
        `a sample rate of ${rate} Hz cannot be used: record at ${MIN_RATE} to ${MAX_RATE} Hz, best at ${best} Hz`,
      );
    }
    const finite = samples.map((sample) => (Number.isFinite(sample) ? sample : 0));
    return this.#inTurn(() => this.#accept(finite, rate));
  }

  /** Ends the recording and decodes the rest: the network needs silence after the last sample. */
  finish() {
    if (this.#finished) {
      return this.#turn;
    }
    this.#finished = true;
    return this.#inTurn(() => this.#finish());
  }

  /** @param {() => Promise<void>} work */
  #inTurn(work) {
    this.#turn = this.#turn.then(work);
    return this.#turn;
  }

  /**
   * @param {Float32Array} samples
   * @param {number} rate
   */
  async #accept(samples, rate) {
    if (rate !== this.#rate) {
      await this.#endRate();
      this.#rate = rate;
      const target = this.specification.features.sampleRate;
      this.#resampler = rate === target ? null : new Resampler(rate, target);
    }
    await this.#count(this.#resampler ? this.#resampler.accept(samples) : samples);
  }

  async #finish() {
    await this.#endRate();
    if (this.#samples === 0) {
      return;
    }
    const { specification } = this;
    await this.#feed(new Float32Array(specification.samplesAfter(this.#samples)));
    if (this.#frames > 0) {
      // Whole steps by construction: fill up the chunk with zeros.
      this.#chunk.fill(0, this.#frames * specification.bins);
      await this.#run(this.#frames / specification.timeStride);
    }
  }

  async #endRate() {
    if (this.#resampler) {
      await this.#count(this.#resampler.finish());
      this.#resampler = null;
    }
  }

  /** @param {Float32Array} samples of the recording */
  async #count(samples) {
    this.#samples += samples.length;
    await this.#feed(samples);
  }

  /** @param {Float32Array} samples */
  async #feed(samples) {
    const { bins, chunkFrames, chunkSteps, features } = this.specification;
    const block = chunkFrames * features.hop; // at most two chunks at once
    for (let from = 0; from < samples.length; from += block) {
      /** @type {Float32Array[]} */
      const frames = [];
      this.#features.accept(samples.subarray(from, from + block), (frame) => frames.push(frame));
      for (const frame of frames) {
        this.#chunk.set(frame, this.#frames * bins);
        this.#frames++;
        if (this.#frames === chunkFrames) {
          await this.#run(chunkSteps);
        }
      }
    }
  }

  /**
   * Runs the network on the chunk.
   * @param {number} steps only the first so many outputs count
   */
  async #run(steps) {
    this.#frames = 0;
    const { logits, states } = await this.engine.step(this.#chunk, this.#states);
    this.#states = states;
    const symbols = this.specification.alphabet.length;
    const dropped = Math.min(this.#stepsToDrop, steps);
    this.#stepsToDrop -= dropped;
    for (let step = dropped; step < steps; step++) {
      this.sink(logits.subarray(step * symbols, (step + 1) * symbols));
    }
  }
}
