/**
 * Tokens, the best one for each place: nodes, or states. A token has the score of its path and a
 * link to what the path said.
 */
export class Tokens {
  /** @type {number[]} */
  places = [];
  /** @type {number[]} */
  scores = [];
  /** @type {(Trace | null)[]} */
  traces = [];
  /** Whether the path enters its place in this step. @type {boolean[]} */
  entered = [];

  /** @param {number} placeCount places are numbers from 0 up to this one */
  constructor(placeCount) {
    this.slotOf = new Int32Array(placeCount).fill(-1);
  }

  get size() {
    return this.places.length;
  }

  clear() {
    this.places.forEach((place) => (this.slotOf[place] = -1));
    this.places.length = this.scores.length = this.traces.length = this.entered.length = 0;
  }

  /**
   * Adds a token, unless its place has one that is at least as good.
   * @param {number} place
   * @param {number} score
   * @param {Trace | null} trace
   * @param {boolean} enters
   */
  offer(place, score, trace, enters) {
    let slot = this.slotOf[place];
    if (slot >= 0 && !(score > this.scores[slot])) {
      return;
    }
    if (slot < 0) {
      slot = this.slotOf[place] = this.size;
    }
    this.places[slot] = place;
    this.scores[slot] = score;
    this.traces[slot] = trace;
    this.entered[slot] = enters;
  }

  best() {
    return this.scores.reduce((best, score) => Math.max(best, score), -Infinity);
  }

  /**
   * Drops the tokens that a test refuses.
   * @param {(slot: number) => boolean} test
   */
  keep(test) {
    let kept = 0;
    for (let slot = 0; slot < this.size; slot++) {
      const place = this.places[slot];
      this.slotOf[place] = -1;
      if (test(slot)) {
        this.places[kept] = place;
        this.scores[kept] = this.scores[slot];
        this.traces[kept] = this.traces[slot];
        this.entered[kept] = this.entered[slot];
        this.slotOf[place] = kept++;
      }
    }
    this.places.length = this.scores.length = this.traces.length = this.entered.length = kept;
  }
}

/**
 * A symbol that a path said. What no token needs any more is freed with its last link.
 * @typedef {{node: number, step: number, before: Trace | null}} Trace
 */
