// Recognises speech beside the page, so that the page never waits. It is a classic worker, because
// LiteRT.js loads its WebAssembly with importScripts.
"use strict";

/** @type {Promise<any>} */
const kit = import("./src/index.js");
const BLOCK_SECONDS = 1;

let recognizer = null;
let listener = null;
let work = Promise.resolve(); // messages are served in their order

const actions = {
  /** Loads a model: `bytes` of the file, and its `name`. */
  async load({ bytes, name }) {
    const { LiteRtEngine, Recognizer, readSpecification } = await kit;
    const specification = readSpecification(bytes, name);
    const engine = await LiteRtEngine.load(bytes, specification, new URL("./", self.location).href);
    const before = recognizer;
    recognizer = new Recognizer(specification, engine);
    before?.engine.close();
    return {
      name: specification.name,
      symbols: specification.alphabet.length,
      training: specification.training,
      phrases: Boolean(specification.phrases),
    };
  },

  /** Sets the phrases that may be said: `bytes` of a .ds2ph file, or null for free text. */
  async phrases({ bytes, name }) {
    const { Phrases } = await kit;
    const phrases = bytes && Phrases.read(bytes, name);
    phrases?.decoder(recognizer.specification.alphabet, recognizer.specification.stepSeconds);
    recognizer.phrases = phrases;
    return {};
  },

  /** Begins a recording. */
  async begin() {
    listener = recognizer.listen();
    return {};
  },

  /** Takes samples of the recording, also a whole file. */
  async samples({ samples, rate }) {
    const block = BLOCK_SECONDS * rate;
    for (let from = 0; from < samples.length; from += block) {
      const started = performance.now();
      const utterances = await listener.accept(samples.subarray(from, from + block), rate);
      self.postMessage({
        type: "heard",
        utterances,
        partial: listener.partial,
        duration: listener.duration,
        milliseconds: performance.now() - started,
      });
    }
    return {};
  },

  /** Ends the recording. */
  async finish() {
    const utterances = await listener.finish();
    self.postMessage({ type: "heard", utterances, partial: "", duration: listener.duration, milliseconds: 0 });
    return {};
  },
};

self.onmessage = ({ data }) => {
  work = work.then(async () => {
    try {
      self.postMessage({ id: data.id, answer: await actions[data.action](data) });
    } catch (error) {
      self.postMessage({ id: data.id, error: error.message ?? String(error) });
    }
  });
};
