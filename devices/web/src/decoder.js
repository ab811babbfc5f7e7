import { join } from "./words.js";

export const BLANK = 0;

/**
 * What a phrase means: its intent, and the values of its slots by name.
 * @typedef {{intent: string, slots: Record<string, unknown>}} Meaning
 */

/**
 * Turns a stream of logits into words. How the logits are cut into calls changes nothing. The last
 * word stays open, and may still grow, until a space or a pause ends it.
 */
export class Decoder {
  /**
   * @param {string[]} alphabet
   * @param {number} stepSeconds
   */
  constructor(alphabet, stepSeconds) {
    this.alphabet = alphabet;
    this.stepSeconds = stepSeconds;
    this.hasLetter = alphabet.map((symbol) => symbol.trim() !== "");
    this.steps = 0;
    this.lastLetterStep = -1; // the last step whose best symbol held a letter
  }

  /**
   * Takes the logits of one step.
   * @param {Float32Array} _logits
   */
  step(_logits) {
    throw new Error("not implemented");
  }

  /** Whether there is no word, not even an open one. */
  get empty() {
    return true;
  }

  /** All words so far, including the open one. @returns {import("./words.js").Word[]} */
  words() {
    return [];
  }

  /**
   * Returns the words so far and drops them, so that memory stays bounded.
   * @param {boolean} _openWord without it, the open word stays in the decoder
   * @returns {import("./words.js").Word[]}
   */
  take(_openWord) {
    return [];
  }

  /** The words at the end of the stream. */
  finalWords() {
    return this.words();
  }

  /**
   * What a final text means. Only phrases have a meaning.
   * @param {string} _text
   * @returns {Meaning | null}
   */
  meaning(_text) {
    return null;
  }

  text() {
    return join(this.words());
  }

  /** Seconds of sound decoded so far. */
  get seconds() {
    return this.steps * this.stepSeconds;
  }

  /** Seconds of sound since the last letter, or since the start if there was none. */
  get blankSeconds() {
    return (this.steps - 1 - this.lastLetterStep) * this.stepSeconds;
  }
}

/** @param {Float32Array} values */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (values[i] > values[best]) {
      best = i;
    }
  }
  return best;
}
