/**
 * A word with its times in seconds and its confidence, 0 to 1.
 * @typedef {{text: string, start: number, end: number, confidence: number}} Word
 */

/**
 * A symbol, or a part of one, that the network emits from one step to another.
 * @typedef {{text: string, first: number, last: number, probability: number}} Emission
 */

/**
 * The emissions of each word. The last list is the open word and may be empty. A space may stand
 * anywhere in a symbol, as in " the". It divides the symbol between two words.
 * @param {Emission[]} emissions
 * @returns {Emission[][]}
 */
export function splitWords(emissions) {
  /** @type {Emission[]} */
  let word = [];
  const words = [word];
  for (const emission of emissions) {
    emission.text.split(" ").forEach((text, part) => {
      if (part > 0 && word.length) {
        word = [];
        words.push(word);
      }
      if (text) {
        word.push(text === emission.text ? emission : { ...emission, text });
      }
    });
  }
  return words;
}

/**
 * @param {Emission[][]} words empty ones are left out
 * @param {number} stepSeconds
 * @returns {Word[]}
 */
export function spell(words, stepSeconds) {
  return words
    .filter((word) => word.length)
    .map((word) => ({
      text: word.map((emission) => emission.text).join(""),
      start: round(word[0].first * stepSeconds, 1e3),
      end: round((word[word.length - 1].last + 1) * stepSeconds, 1e3),
      confidence: round(word.reduce((sum, emission) => sum + emission.probability, 0) / word.length, 1e4),
    }));
}

/** @param {Word[]} words */
export function join(words) {
  return words.map((word) => word.text).join(" ");
}

/**
 * Rounds to one part in `scale`, halves to the even number, as Python does.
 * @param {number} value
 * @param {number} scale
 */
export function round(value, scale) {
  const scaled = value * scale;
  const lower = Math.floor(scaled);
  const odd = lower % 2 !== 0;
  return (scaled - lower > 0.5 || (scaled - lower === 0.5 && odd) ? lower + 1 : lower) / scale;
}
