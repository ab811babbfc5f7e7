import { InputError } from "./errors.js";
import { join, round } from "./words.js";

/**
 * When an utterance ends, in seconds. Whichever rule applies first ends it.
 * @typedef {object} EndpointRules
 * @property {number} idle without a letter, before the first word
 * @property {number} silence without a letter, after a word
 * @property {number} length of the whole utterance; an open word goes to the next one
 */

/**
 * What was said between two pauses. Times are in seconds from the start of the stream.
 * @typedef {object} Utterance
 * @property {string} text
 * @property {import("./words.js").Word[]} words at least one
 * @property {number} start
 * @property {number} end
 * @property {number} confidence mean of the words
 * @property {number} decided when the end was detected
 * @property {import("./decoder.js").Meaning | null} meaning of a phrase
 */

/** @type {EndpointRules} */
export const DEFAULT_RULES = { idle: 2.4, silence: 1.2, length: 20 };

/** Cuts the words of a decoder into utterances, step by step, in constant memory. */
export class Endpointer {
  /** @type {Utterance[]} */
  #ended = [];
  #start = 0; // of the open utterance, in seconds of the stream

  /**
   * @param {import("./decoder.js").Decoder} decoder
   * @param {Partial<EndpointRules>} rules
   */
  constructor(decoder, rules = {}) {
    this.decoder = decoder;
    this.rules = { ...DEFAULT_RULES, ...rules };
    for (const [name, seconds] of Object.entries(this.rules)) {
      if (!(seconds > 0)) {
        throw new InputError(`endpoint rule ${name} must be above 0 s, not ${seconds}`);
      }
    }
  }

  /** @param {Float32Array} logits of one step */
  step(logits) {
    this.decoder.step(logits);
    const duration = this.decoder.seconds - this.#start;
    const blank = Math.min(this.decoder.blankSeconds, duration);
    if (blank >= (this.decoder.empty ? this.rules.idle : this.rules.silence)) {
      this.#end(this.decoder.take(true));
    } else if (duration >= this.rules.length) {
      const words = this.decoder.take(false);
      this.#end(words.length ? words : this.decoder.take(true));
    }
  }

  /** Returns the utterances that ended since the last call. */
  take() {
    return this.#ended.splice(0);
  }

  /** Ends the open utterance too. */
  takeLast() {
    this.#end(this.decoder.take(true));
    return this.take();
  }

  /** @param {import("./words.js").Word[]} words */
  #end(words) {
    if (words.length) {
      const text = join(words);
      this.#ended.push({
        text,
        words,
        start: words[0].start,
        end: words[words.length - 1].end,
        confidence: round(words.reduce((sum, word) => sum + word.confidence, 0) / words.length, 1e4),
        decided: this.decoder.seconds,
        meaning: this.decoder.meaning(text),
      });
    }
    const unfinished = this.decoder.words();
    this.#start = unfinished.length ? unfinished[0].start : this.decoder.seconds;
  }
}
