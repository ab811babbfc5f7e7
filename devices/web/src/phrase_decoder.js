import { BLANK, Decoder, argmax } from "./decoder.js";
import { Tokens } from "./tokens.js";
import { spell, splitWords } from "./words.js";

const BEAM = 25; // tokens that are more nats than this below the best one are dropped
const MOST_TOKENS = 3000;
const WILD_SYMBOLS = 8; // a wildcard may say only so many of the best symbols of a step
const BONUS = 4; // nats for each symbol of a phrase
const MISSING_LETTER = 0.6; // nats off the score of a phrase for each letter that it lacks
const MOST_MISSING = 0.9; // nats off for each letter that it has

/**
 * Finds the phrase that was said by passing tokens through the graph (Viterbi search over CTC), or
 * nothing if it was none. The score of a step is relative to that of its best symbol, so the best
 * free text scores 0.
 */
export class PhraseDecoder extends Decoder {
  #heard = false; // a symbol in the best free text

  /**
   * @param {import("./phrase_graph.js").PhraseGraph} graph
   * @param {string[]} alphabet
   * @param {number} stepSeconds
   * @param {import("./phrases.js").Phrases} phrases
   */
  constructor(graph, alphabet, stepSeconds, phrases) {
    super(alphabet, stepSeconds);
    this.graph = graph;
    this.phrases = phrases;
    this.arcWeight = graph.arcWeight.map((weight, arc) => weight + (this.#isFree(graph.arcNode[arc]) ? 0 : BONUS));
    this.said = new Tokens(graph.nodeState.length); // by node: the last step said its symbol
    this.nextSaid = new Tokens(graph.nodeState.length);
    this.blank = new Tokens(graph.ends.length); // by state: the last step was blank
    this.nextBlank = new Tokens(graph.ends.length);
    this.#begin();
  }

  get empty() {
    return !this.#heard;
  }

  /** @param {string} text */
  meaning(text) {
    return this.phrases.meaning(text);
  }

  /** @param {Float32Array} logits */
  step(logits) {
    const best = argmax(logits);
    const highest = logits[best];
    const scores = logits.map((logit) => logit - highest);
    if (best !== BLANK && this.hasLetter[best]) {
      this.lastLetterStep = this.steps;
    }
    this.#heard ||= best !== BLANK;
    this.#advance(scores);
    this.#pause(scores);
    [this.said, this.nextSaid] = [this.nextSaid, this.said];
    [this.blank, this.nextBlank] = [this.nextBlank, this.blank];
    this.#prune();
    this.steps++;
  }

  /** The best guess at the phrase so far. It may still be rejected. */
  words() {
    return this.#best(false);
  }

  /**
   * The words of the phrase that was said; none if it was rejected. Where the best free text is
   * empty, as in noise, nothing was said.
   */
  finalWords() {
    const words = this.#heard ? this.#best(true) : [];
    return words.length && words[0].confidence >= this.phrases.minConfidence ? words : [];
  }

  /** Returns the words of the phrase that was said, and starts again: no word stays open. */
  take() {
    const words = this.finalWords();
    this.#begin();
    return words;
  }

  #begin() {
    this.said.clear();
    this.blank.clear();
    this.blank.offer(0, 0, null, false);
    this.#heard = false;
  }

  /** @param {number} node */
  #isFree(node) {
    return this.graph.nodeState[node] >= this.graph.wildcards;
  }

  /**
   * Moves tokens along the arcs, and keeps those that go on saying their symbol.
   * @param {Float32Array} scores
   */
  #advance(scores) {
    const { graph, said, blank, nextSaid } = this;
    nextSaid.clear();
    for (let i = 0; i < blank.size; i++) {
      this.#enter(blank.places[i], -1, blank.scores[i], blank.traces[i], scores);
    }
    for (let i = 0; i < said.size; i++) {
      const node = said.places[i];
      // CTC merges equal symbols in a row, so a blank must stand between them.
      this.#enter(graph.nodeState[node], graph.nodeSymbol[node], said.scores[i], said.traces[i], scores);
    }
    for (let i = 0; i < said.size; i++) {
      const node = said.places[i];
      nextSaid.offer(node, Math.fround(said.scores[i] + scores[graph.nodeSymbol[node]]), said.traces[i], false);
    }
    const least = nextSaid.best() - BEAM;
    const wild = scores.slice().sort()[Math.max(0, scores.length - WILD_SYMBOLS)];
    nextSaid.keep((slot) => {
      const node = nextSaid.places[slot];
      return nextSaid.scores[slot] > least && !(this.#isFree(node) && scores[graph.nodeSymbol[node]] < wild);
    });
    for (let i = 0; i < nextSaid.size; i++) {
      if (nextSaid.entered[i]) {
        nextSaid.traces[i] = { node: nextSaid.places[i], step: this.steps, before: nextSaid.traces[i] };
      }
    }
  }

  /**
   * @param {number} state
   * @param {number} previous symbol that may not follow; -1 for none
   * @param {number} score
   * @param {import("./tokens.js").Trace | null} trace
   * @param {Float32Array} scores
   */
  #enter(state, previous, score, trace, scores) {
    const { firstArc, arcNode, nodeSymbol } = this.graph;
    for (let arc = firstArc[state]; arc < firstArc[state + 1]; arc++) {
      const symbol = nodeSymbol[arcNode[arc]];
      if (symbol !== previous) {
        const after = Math.fround(Math.fround(score + scores[symbol]) + this.arcWeight[arc]);
        this.nextSaid.offer(arcNode[arc], after, trace, true);
      }
    }
  }

  /**
   * Moves tokens on over a blank.
   * @param {Float32Array} scores
   */
  #pause(scores) {
    const { graph, said, blank, nextBlank } = this;
    nextBlank.clear();
    for (let i = 0; i < blank.size; i++) {
      nextBlank.offer(blank.places[i], blank.scores[i], blank.traces[i], false);
    }
    for (let i = 0; i < said.size; i++) {
      nextBlank.offer(graph.nodeState[said.places[i]], said.scores[i], said.traces[i], false);
    }
    nextBlank.scores = nextBlank.scores.map((score) => Math.fround(score + scores[BLANK]));
  }

  /** Drops the tokens that are too far below the best one, or too many. */
  #prune() {
    const { said, blank } = this;
    let least = Math.max(said.best(), blank.best()) - BEAM;
    if (said.size + blank.size > MOST_TOKENS) {
      const all = Float64Array.from([...said.scores, ...blank.scores]).sort();
      least = Math.max(least, all[all.length - MOST_TOKENS]);
    }
    said.keep((slot) => said.scores[slot] >= least);
    blank.keep((slot) => blank.scores[slot] >= least);
  }

  /**
   * The words of the best token.
   * @param {boolean} atEnd only tokens at the end of a phrase count
   */
  #best(atEnd) {
    const { graph, said, blank } = this;
    let best = -Infinity;
    /** @type {import("./tokens.js").Trace | null} */
    let trace = null;
    const consider = (/** @type {Tokens} */ tokens, /** @type {number} */ slot, /** @type {number} */ state) => {
      const score = Math.fround(tokens.scores[slot] + (atEnd ? graph.ends[state] : 0));
      if (score > best) {
        best = score;
        trace = tokens.traces[slot];
      }
    };
    for (let i = 0; i < blank.size; i++) {
      consider(blank, i, blank.places[i]);
    }
    for (let i = 0; i < said.size; i++) {
      consider(said, i, graph.nodeState[said.places[i]]);
    }
    return this.#spell(best, trace);
  }

  /**
   * @param {number} score
   * @param {import("./tokens.js").Trace | null} trace
   */
  #spell(score, trace) {
    const path = [];
    for (let entry = trace; entry; entry = entry.before) {
      path.unshift(entry);
    }
    const text = (/** @type {number} */ node) => this.alphabet[this.graph.nodeSymbol[node]];
    // The symbols of a wildcard are no evidence for the phrase: they do not count.
    const fixed = path.filter(({ node }) => !this.#isFree(node));
    const letters = fixed.reduce((sum, { node }) => sum + text(node).trim().length, 0);
    const lacking = Math.max(0, this.phrases.enoughLetters - letters);
    const missing = Math.min(MISSING_LETTER * lacking, MOST_MISSING * letters);
    const probability = Math.exp(Math.min(0, (score - BONUS * fixed.length - missing) / Math.max(1, letters)));
    const emissions = path.map(({ node, step }) => ({ text: text(node), first: step, last: step, probability }));
    return spell(splitWords(emissions), this.stepSeconds);
  }
}
