import { BLANK } from "./decoder.js";
import { ANYTHING } from "./letters.js";

/**
 * The automaton of phrases over the symbols of one model. Arcs lead from states to nodes, sorted by
 * state. A node is a state together with the symbol that led to it. State 0 is the start.
 * @typedef {object} PhraseGraph
 * @property {Int32Array} firstArc [states + 1] arcs of state s are firstArc[s] to firstArc[s + 1]
 * @property {Int32Array} arcNode [arcs]
 * @property {Float32Array} arcWeight [arcs] log
 * @property {Int32Array} nodeState [nodes]
 * @property {Int32Array} nodeSymbol [nodes]
 * @property {Float32Array} ends [states] log; -Infinity where no phrase ends
 * @property {number} wildcards the first of the states of wildcards, which come last
 */

/** @typedef {[source: number, symbol: number, target: number, weight: number]} Arc */

/**
 * Builds the graph for the symbols of one model, with every spelling of every word.
 * @param {import("./letters.js").Letters} letters
 * @param {string[]} alphabet
 * @returns {PhraseGraph}
 */
export function buildGraph(letters, alphabet) {
  const states = letters.ends.length;
  const next = new Map(); // letter -> state -> arc of the automaton
  letters.sources.forEach((state, arc) => {
    const letter = letters.labels[letters.labelIds[arc]];
    const arcs = next.get(letter) ?? new Map();
    next.set(letter, arcs.set(state, arc));
  });
  const symbols = alphabet.map((text, symbol) => ({ text, symbol })).filter(({ symbol }) => symbol !== BLANK);
  /** @type {Arc[]} */
  const arcs = [];
  for (const { text, symbol } of symbols.filter(({ text }) => text)) {
    for (let state = 0; state < states; state++) {
      const end = walk(letters, next, text, state);
      if (end) {
        arcs.push([state, symbol, end.state, end.weight]);
      }
    }
  }
  const wildcards = new Map(
    [...(next.get(ANYTHING) ?? [])].map(([state, arc]) => [state, letters.targets[arc]]),
  );
  const added = wildcardArcs(letters, next.get(" "), symbols, arcs, wildcards);
  const ends = Float32Array.from([...letters.ends, ...[...wildcards.values()].map((after) => letters.ends[after])]);
  return sorted([...arcs, ...added], ends, states, alphabet.length);
}

/**
 * Where the letters of a symbol lead; null if nowhere. A phrase may start with a space.
 * @param {import("./letters.js").Letters} letters
 * @param {Map<string, Map<number, number>>} next
 * @param {string} text
 * @param {number} from
 */
function walk(letters, next, text, from) {
  let state = from;
  let weight = 0;
  for (let place = 0; place < text.length; place++) {
    const arc = next.get(text[place])?.get(state);
    if (arc !== undefined) {
      state = letters.targets[arc];
      weight = Math.fround(weight + letters.weights[arc]);
    } else if (!(text[place] === " " && place === 0 && state === 0)) {
      return null;
    }
  }
  return { state, weight };
}

/**
 * The arcs of a state for each wildcard. An arc of every symbol leads from it to itself. Arcs lead to
 * it from the state before the wildcard, and for symbols that start with a space also from the state
 * before that space. The arcs of the state after the wildcard leave it too.
 * @param {import("./letters.js").Letters} letters
 * @param {Map<number, number> | undefined} spaces arcs of the space by their source
 * @param {{text: string, symbol: number}[]} symbols all but the blank
 * @param {Arc[]} arcs all others
 * @param {Map<number, number>} wildcards the state after a wildcard, by the state before it
 */
function wildcardArcs(letters, spaces, symbols, arcs, wildcards) {
  /** @type {Arc[]} */
  const added = [];
  const first = letters.ends.length;
  const inside = new Map([...wildcards.keys()].map((state, i) => [state, first + i]));
  const words = symbols.filter(({ text }) => text && !text.startsWith(" "));
  const spaced = symbols.filter(({ text }) => text.length > 1 && text.startsWith(" "));
  for (const [state, wildcard] of inside) {
    words.forEach(({ symbol }) => added.push([state, symbol, wildcard, 0]));
    symbols.forEach(({ symbol }) => added.push([wildcard, symbol, wildcard, 0]));
  }
  for (const [state, arc] of spaces ?? []) {
    const wildcard = inside.get(letters.targets[arc]);
    if (wildcard !== undefined) {
      spaced.forEach(({ symbol }) => added.push([state, symbol, wildcard, 0]));
    }
  }
  for (const [state, after] of wildcards) {
    for (const [source, symbol, target, weight] of arcs) {
      if (source === after) {
        added.push([/** @type {number} */ (inside.get(state)), symbol, target, weight]);
      }
    }
  }
  return added;
}

/**
 * Numbers the nodes by state and symbol, and sorts the arcs by their source.
 * @param {Arc[]} arcs
 * @param {Float32Array} ends
 * @param {number} wildcards
 * @param {number} symbols
 * @returns {PhraseGraph}
 */
function sorted(arcs, ends, wildcards, symbols) {
  const keys = [...new Set(arcs.map(([, symbol, target]) => target * symbols + symbol))].sort((a, b) => a - b);
  const nodes = new Map(keys.map((key, node) => [key, node]));
  arcs.sort(([a], [b]) => a - b);
  const firstArc = new Int32Array(ends.length + 1);
  arcs.forEach(([source]) => firstArc[source + 1]++);
  for (let state = 0; state < ends.length; state++) {
    firstArc[state + 1] += firstArc[state];
  }
  return {
    firstArc,
    arcNode: Int32Array.from(arcs, ([, symbol, target]) => /** @type {number} */ (nodes.get(target * symbols + symbol))),
    arcWeight: Float32Array.from(arcs, ([, , , weight]) => weight),
    nodeState: Int32Array.from(keys, (key) => Math.floor(key / symbols)),
    nodeSymbol: Int32Array.from(keys, (key) => key % symbols),
    ends,
    wildcards,
  };
}
