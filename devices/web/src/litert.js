/** @import {CompiledModel} from "@litertjs/core" */
import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";

import { InputError } from "./errors.js";

/**
 * Runs a model with LiteRT.js, on one thread of WebAssembly. LiteRT.js is loaded once.
 */
export class LiteRtEngine {
  #model;
  #shapes;

  /**
   * @param {CompiledModel} model
   */
  constructor(model) {
    this.#model = model;
    this.#shapes = Object.fromEntries(model.getInputDetails().map(({ name, shape }) => [name, [...shape]]));
  }

  /**
   * @param {Uint8Array} model the .tflite file
   * @param {import("./specification.js").Specification} specification the one inside the file
   * @param {string} wasm address of the folder `wasm` of LiteRT.js
   */
  static async load(model, specification, wasm) {
    await loadOnce(wasm);
    let compiled;
    try {
      compiled = await loadAndCompile(model, { accelerator: "wasm" });
    } catch (error) {
      throw new InputError(`${specification.source}: LiteRT.js cannot run this model (${error}): convert it with --mode int8`);
    }
    const names = new Set(compiled.getInputDetails().map(({ name }) => name));
    const missing = ["features", ...specification.states.map(({ name }) => name)].filter((name) => !names.has(name));
    if (missing.length) {
      throw new InputError(`${specification.source}: the graph has no input '${missing[0]}': convert the run again`);
    }
    return new LiteRtEngine(compiled);
  }

  /**
   * @param {Float32Array} features
   * @param {Record<string, Float32Array>} states
   */
  async step(features, states) {
    /** @type {Record<string, Tensor>} */
    const inputs = {};
    for (const [name, values] of Object.entries({ features, ...states })) {
      inputs[name] = new Tensor(values, this.#shapes[name]);
    }
    const outputs = await this.#model.run(inputs);
    const logits = values(outputs.logits);
    const next = Object.fromEntries(Object.keys(states).map((name) => [name, values(outputs[`${name}_next`])]));
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) {
      tensor.delete();
    }
    return { logits, states: next };
  }

  /** Frees the memory of the model. */
  close() {
    this.#model.delete();
  }
}

/** @param {Tensor} tensor */
function values(tensor) {
  return /** @type {Float32Array} */ (tensor.toTypedArray()).slice();
}

/** @type {Promise<unknown> | undefined} */
let loaded;

/** @param {string} wasm */
function loadOnce(wasm) {
  loaded ??= loadLiteRt(wasm).catch((error) => {
    loaded = undefined;
    throw new InputError(`LiteRT.js cannot start (${error}): reload the page, or use a newer browser`);
  });
  return loaded;
}
