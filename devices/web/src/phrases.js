import { InputError } from "./errors.js";
import { Grammar } from "./grammar.js";
import { ANYTHING, Letters } from "./letters.js";
import { PhraseDecoder } from "./phrase_decoder.js";
import { buildGraph } from "./phrase_graph.js";
import { unzip } from "./zip.js";

const FORMAT = 1;

/** All that may be said, as `ds2edge phrases compile` wrote it to a .ds2ph file. */
export class Phrases {
  /** @type {string[]} */
  #graphAlphabet = [];
  /** Of the last alphabet. @type {import("./phrase_graph.js").PhraseGraph | null} */
  #graph = null;

  /**
   * @param {string} source name of the file, with which messages begin
   * @param {Grammar} grammar
   * @param {Letters} letters
   * @param {number} minConfidence 0 to 1; a phrase below it is rejected
   * @param {number} enoughLetters shorter phrases have less confidence
   */
  constructor(source, grammar, letters, minConfidence, enoughLetters) {
    this.source = source;
    this.grammar = grammar;
    this.letters = letters;
    this.minConfidence = minConfidence;
    this.enoughLetters = enoughLetters;
  }

  /**
   * @param {Uint8Array} bytes the .ds2ph file
   * @param {string} source its name, with which messages begin
   */
  static read(bytes, source) {
    try {
      const members = unzip(bytes) ?? {};
      const content = JSON.parse(new TextDecoder().decode(members["phrases.json"]));
      if (content.format > FORMAT) {
        throw new InputError(`${source}: a newer ds2edge made these phrases: use a newer version of this page`);
      }
      const letters = new Letters(content.labels, unzip(members["letters.npz"]) ?? {});
      const grammar = new Grammar(content.grammar);
      return new Phrases(source, grammar, letters, content.min_confidence ?? 0, content.enough_letters ?? 0);
    } catch (error) {
      if (error instanceof InputError) {
        throw error;
      }
      throw new InputError(`${source}: not made by \`ds2edge phrases compile\`, or cut short`);
    }
  }

  /**
   * What a text means; null if it is no phrase, or a phrase without an intent.
   * @param {string} text
   */
  meaning(text) {
    const meaning = text ? this.grammar.match(text) : null;
    return meaning?.intent ? meaning : null;
  }

  /**
   * A decoder for the logits of a model. InputError if the alphabet lacks a letter.
   * @param {string[]} alphabet
   * @param {number} stepSeconds
   */
  decoder(alphabet, stepSeconds) {
    if (!this.#graph || alphabet.join("\n") !== this.#graphAlphabet.join("\n")) {
      const known = new Set([" ", ANYTHING, ...alphabet.join("")]);
      const missing = [...this.letters.labels].find((letter) => !known.has(letter));
      if (missing) {
        throw new InputError(`${this.source}: the model has no symbol for '${missing}': spell the phrases with other letters`);
      }
      this.#graph = buildGraph(this.letters, alphabet);
      this.#graphAlphabet = alphabet;
    }
    return new PhraseDecoder(this.#graph, alphabet, stepSeconds, this);
  }
}
