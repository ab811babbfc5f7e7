import { Endpointer } from "./endpointer.js";
import { GreedyDecoder } from "./greedy_decoder.js";
import { Stream } from "./stream.js";
import { join } from "./words.js";

/**
 * The transcript of a recording.
 * @typedef {object} Result
 * @property {string} text
 * @property {import("./words.js").Word[]} words
 * @property {number} duration seconds of sound
 * @property {import("./decoder.js").Meaning | null} meaning of a phrase
 */

/** A model that transcribes any number of streams, also several at once. */
export class Recognizer {
  /**
   * @param {import("./specification.js").Specification} specification
   * @param {import("./stream.js").Engine} engine
   */
  constructor(specification, engine) {
    this.specification = specification;
    this.engine = engine;
    /**
     * All that may be said in the streams that begin from now on; null for free text. At first, the
     * phrases inside the model file.
     * @type {import("./phrases.js").Phrases | null}
     */
    this.phrases = specification.phrases;
  }

  /**
   * Transcribes a whole recording.
   * @param {Float32Array} samples mono, in -1 to 1
   * @param {number} rate in Hz
   * @returns {Promise<Result>}
   */
  async transcribe(samples, rate) {
    const decoder = this.#decoder();
    const stream = new Stream(this.specification, this.engine, (logits) => decoder.step(logits));
    await stream.accept(samples, rate);
    await stream.finish();
    const words = decoder.finalWords();
    const text = join(words);
    return { text, words, duration: stream.duration, meaning: decoder.meaning(text) };
  }

  /**
   * Begins a recording that is cut into utterances.
   * @param {Partial<import("./endpointer.js").EndpointRules>} [rules] when an utterance ends
   */
  listen(rules) {
    return new Listener(this.specification, this.engine, new Endpointer(this.#decoder(), rules));
  }

  #decoder() {
    const { alphabet, stepSeconds } = this.specification;
    return this.phrases?.decoder(alphabet, stepSeconds) ?? new GreedyDecoder(alphabet, stepSeconds);
  }
}

/** A recording that is being cut into utterances, in constant memory. `Recognizer.listen` makes one. */
export class Listener {
  #stream;
  #endpointer;

  /**
   * @param {import("./specification.js").Specification} specification
   * @param {import("./stream.js").Engine} engine
   * @param {Endpointer} endpointer
   */
  constructor(specification, engine, endpointer) {
    this.#endpointer = endpointer;
    this.#stream = new Stream(specification, engine, (logits) => endpointer.step(logits));
  }

  /**
   * Takes the next mono samples in -1 to 1. Returns the utterances that have ended.
   * @param {Float32Array} samples
   * @param {number} rate in Hz
   */
  async accept(samples, rate) {
    await this.#stream.accept(samples, rate);
    return this.#endpointer.take();
  }

  /** The text of the open utterance. Its last word may still change. */
  get partial() {
    return this.#endpointer.decoder.text();
  }

  /** Seconds of sound so far. */
  get duration() {
    return this.#stream.duration;
  }

  /** Ends the recording. Returns the remaining utterances. */
  async finish() {
    await this.#stream.finish();
    return this.#endpointer.takeLast();
  }
}
