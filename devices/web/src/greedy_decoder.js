import { BLANK, Decoder, argmax } from "./decoder.js";
import { spell, splitWords } from "./words.js";

// A pause of this length ends a word: networks trained on single phrases emit no space in a pause.
const PAUSE_SECONDS = 0.8;

/**
 * Greedy CTC decoding: takes the best symbol of every step, merges repeats and drops blanks. Spaces
 * and pauses end words.
 */
export class GreedyDecoder extends Decoder {
  /** Final words. @type {import("./words.js").Word[]} */
  #words = [];
  /** What was emitted after them; the last one may still grow. @type {import("./words.js").Emission[]} */
  #emissions = [];
  #previous = BLANK;

  /** @param {Float32Array} logits */
  step(logits) {
    const symbol = argmax(logits);
    if (this.hasLetter[symbol]) {
      if (this.blankSeconds >= PAUSE_SECONDS) {
        this.#endWords(true);
      }
      this.lastLetterStep = this.steps;
    }
    if (symbol !== BLANK) {
      this.#emit(symbol, 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - logits[symbol]), 0));
    }
    this.#previous = symbol;
    this.steps++;
  }

  /**
   * @param {number} symbol
   * @param {number} probability
   */
  #emit(symbol, probability) {
    const last = this.#emissions[this.#emissions.length - 1];
    if (symbol !== this.#previous) {
      if (last?.text.includes(" ")) {
        this.#endWords(false);
      }
      this.#emissions.push({ text: this.alphabet[symbol], first: this.steps, last: this.steps, probability });
    } else if (last) {
      last.last = this.steps;
      last.probability = Math.max(last.probability, probability);
    }
  }

  get empty() {
    return !this.#words.length && this.#emissions.every((emission) => !emission.text.trim());
  }

  words() {
    return [...this.#words, ...spell(splitWords(this.#emissions), this.stepSeconds)];
  }

  /** @param {boolean} openWord */
  take(openWord) {
    this.#endWords(openWord);
    const taken = this.#words;
    this.#words = [];
    return taken;
  }

  /**
   * Makes the words before the last space final, and the open one too if asked.
   * @param {boolean} openWord
   */
  #endWords(openWord) {
    const split = splitWords(this.#emissions);
    const rest = openWord ? [] : split.pop();
    this.#words.push(...spell(split, this.stepSeconds));
    this.#emissions = rest ?? [];
  }
}
