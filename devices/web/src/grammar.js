/**
 * What a file of phrases holds: a text, ["all", ...] for all items in order, ["any", ...] for one of
 * them, or {list: slot} for a value of a list.
 * @typedef {string | [string, ...any[]] | Record<string, string>} Expression
 */

/** The sentences of compiled phrases, and what they mean. */
export class Grammar {
  /**
   * @param {{intents: [string, Expression[], Record<string, unknown>, number][],
   *   lists: Record<string, [Expression, number, unknown?][] | null>}} content
   *   values of a list: what is said, its weight and its meaning; null: any words
   */
  constructor(content) {
    this.intents = content.intents;
    this.lists = content.lists;
  }

  /**
   * Intent and slots of a text whose words are separated by one space; null if no sentence fits. If
   * several fit, the first one of the file counts.
   * @param {string} text
   * @returns {import("./decoder.js").Meaning | null}
   */
  match(text) {
    for (const [intent, sentences, fixed] of this.intents) {
      for (const sentence of sentences) {
        for (const { at, slots } of this.#ways(sentence, text, 0)) {
          if (!text.slice(at).trim()) {
            return { intent, slots: { ...fixed, ...slots } };
          }
        }
      }
    }
    return null;
  }

  /**
   * All ways in which an expression matches from a place on: where it ends, and the slots in it.
   * @param {Expression} expression
   * @param {string} text
   * @param {number} at
   * @returns {Iterable<{at: number, slots: Record<string, unknown>}>}
   */
  *#ways(expression, text, at) {
    if (typeof expression === "string") {
      const end = literal(expression, text, at);
      if (end >= 0) {
        yield { at: end, slots: {} };
      }
    } else if (!Array.isArray(expression)) {
      const [[list, slot]] = Object.entries(expression);
      yield* this.#values(this.lists[list], slot, text, at);
    } else if (expression[0] === "all") {
      yield* this.#sequence(expression.slice(1), text, at);
    } else {
      for (const item of expression.slice(1)) {
        yield* this.#ways(item, text, at);
      }
    }
  }

  /**
   * @param {Expression[]} items
   * @param {string} text
   * @param {number} at
   * @returns {Iterable<{at: number, slots: Record<string, unknown>}>}
   */
  *#sequence([first, ...rest], text, at) {
    if (first === undefined) {
      yield { at, slots: {} };
      return;
    }
    for (const one of this.#ways(first, text, at)) {
      for (const others of this.#sequence(rest, text, one.at)) {
        yield { at: others.at, slots: { ...one.slots, ...others.slots } };
      }
    }
  }

  /**
   * @param {[Expression, number, unknown?][] | null} values
   * @param {string} slot
   * @param {string} text
   * @param {number} at
   * @returns {Iterable<{at: number, slots: Record<string, unknown>}>}
   */
  *#values(values, slot, text, at) {
    if (values === null) {
      yield* anything(slot, text, at);
      return;
    }
    for (const value of values) {
      for (const { at: end } of this.#ways(value[0], text, at)) {
        const meaning = value.length > 2 ? value[2] : text.slice(at, end).trim();
        yield { at: end, slots: { [slot]: meaning } };
      }
    }
  }
}

/**
 * A wildcard: one word or more.
 * @param {string} slot
 * @param {string} text
 * @param {number} at
 */
function* anything(slot, text, at) {
  const start = text[at] === " " ? at + 1 : at;
  for (let end = start; end < text.length; ) {
    const space = text.indexOf(" ", end + 1);
    end = space < 0 ? text.length : space;
    yield { at: end, slots: { [slot]: text.slice(start, end) } };
  }
}

/**
 * Where the literal ends if it starts at `at`; -1 if it does not fit. A space matches the space
 * between two words, whether or not that one was matched before.
 * @param {string} wanted
 * @param {string} text
 * @param {number} at
 */
function literal(wanted, text, at) {
  for (const letter of wanted) {
    if (text[at] === letter) {
      at++;
    } else if (letter !== " " || (at > 0 && at < text.length && text[at - 1] !== " ")) {
      return -1;
    }
  }
  return at;
}
