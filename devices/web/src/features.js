import { FourierTransform } from "./fourier.js";
import { MelFilters } from "./mel.js";

const MIN_POWER = 1e-12; // power floor of one bin: -120 dB
const SILENCE_DB = -104; // a frame whose total power is lower is digital silence

/**
 * The front end: turns a stream of samples into normalised log-power frames, in double precision
 * up to the last step, as the Python runtime does. How the samples are cut into calls does not
 * change the frames.
 */
export class Features {
  /**
   * @param {import("./specification.js").FeatureSettings} settings
   * @param {ArrayLike<number>} mean of the training set in dB, by bin
   * @param {ArrayLike<number>} std of the training set in dB, by bin
   */
  constructor(settings, mean, std) {
    this.settings = settings;
    this.mean = Float64Array.from(mean);
    this.std = Float64Array.from(std);
    const { window } = settings;
    this.transform = new FourierTransform(window);
    this.filters = settings.melBands ? new MelFilters(settings) : null;
    // A periodic Hann window.
    this.window = Float64Array.from({ length: window }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / window));
    this.scale = 1 / (this.window.reduce((sum, value) => sum + value) / 2) ** 2;
    this.minPower = settings.levelRise ? MIN_POWER : 10 ** (settings.floorDb / 10);
    this.pending = new Float32Array(window); // the samples of the next window
    this.filled = 0;
    this.windowed = new Float64Array(window);
    this.spectrum = new Float64Array(Math.floor(window / 2) + 1);
    this.power = this.filters ? new Float64Array(settings.melBands) : this.spectrum;
    /** Running level in dB; infinite until the first sound. */
    this.level = Infinity;
  }

  /**
   * Takes the next samples in -1 to 1, at the rate of the settings. Calls `sink` with each frame.
   * @param {Float32Array} samples
   * @param {(frame: Float32Array) => void} sink
   */
  accept(samples, sink) {
    const { window, hop } = this.settings;
    for (let from = 0; from < samples.length; ) {
      const part = samples.subarray(from, from + window - this.filled);
      this.pending.set(part, this.filled);
      this.filled += part.length;
      from += part.length;
      if (this.filled === window) {
        sink(this.#measure());
        this.pending.copyWithin(0, hop);
        this.filled = window - hop;
      }
    }
  }

  /** Turns the pending window into a frame. */
  #measure() {
    const { floorDb, ceilingDb, levelRise } = this.settings;
    for (let i = 0; i < this.windowed.length; i++) {
      this.windowed[i] = this.pending[i] * this.window[i];
    }
    this.transform.power(this.windowed, this.spectrum);
    for (let i = 0; i < this.spectrum.length; i++) {
      this.spectrum[i] *= this.scale;
    }
    this.filters?.apply(this.spectrum, this.power);
    if (levelRise) {
      this.#follow();
    }
    const reference = levelRise ? this.level : 0;
    const frame = new Float32Array(this.power.length);
    for (let i = 0; i < frame.length; i++) {
      const decibels = 10 * Math.log10(Math.max(this.power[i], this.minPower)) - reference;
      const bounded = Math.min(Math.max(decibels, floorDb), ceilingDb);
      frame[i] = (bounded - this.mean[i]) / this.std[i];
    }
    return frame;
  }

  /** Moves the running level towards the power of this frame. Digital silence does not move it. */
  #follow() {
    const { levelRise, levelFall } = this.settings;
    let total = 0;
    for (const value of this.power) {
      total += value;
    }
    const loudness = 10 * Math.log10(Math.max(total, MIN_POWER));
    if (loudness > SILENCE_DB) {
      if (this.level === Infinity) {
        this.level = loudness;
      }
      this.level += (loudness > this.level ? levelRise : levelFall) * (loudness - this.level);
    }
  }
}
