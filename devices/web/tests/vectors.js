import { readFileSync } from "node:fs";

const FOLDER = new URL("../../../tests/golden/vectors/", import.meta.url);
export const PROJECT = new URL("../../../", import.meta.url);

/** @param {string} name */
export function read(name) {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

/** @param {string} name */
export function bytes(name) {
  return new Uint8Array(readFileSync(new URL(name, FOLDER)));
}

/**
 * The values of an array in a file of its own. 16-bit samples become numbers in -1 to 1.
 * @param {{file: string, steps?: [number, number], shape: number[]} | string} array
 */
export function values(array) {
  const file = typeof array === "string" ? array : array.file;
  const { buffer } = bytes(file);
  if (file.endsWith(".i16")) {
    return Float32Array.from(new Int16Array(buffer), (sample) => sample / 32768);
  }
  return file.endsWith(".i8") ? new Int8Array(buffer) : new Float32Array(buffer);
}

/**
 * The logits of a case, step by step.
 * @param {{logits: {file: string, shape: number[], steps: [number, number]}}} one
 */
export function steps({ logits }) {
  const all = values(logits);
  const symbols = logits.shape[logits.shape.length - 1];
  const [first, last] = logits.steps;
  return Array.from({ length: last - first }, (_, i) =>
    /** @type {Float32Array} */ (all).subarray((first + i) * symbols, (first + i + 1) * symbols),
  );
}

/**
 * Pieces of the lengths `cuts`, again and again.
 * @param {Float32Array} samples
 * @param {number[]} cuts
 */
export function pieces(samples, cuts) {
  const found = [];
  for (let from = 0, i = 0; from < samples.length; i++) {
    found.push(samples.subarray(from, from + cuts[i % cuts.length]));
    from += cuts[i % cuts.length];
  }
  return found;
}
