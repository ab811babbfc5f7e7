/** Label of an arc for a wildcard. */
export const ANYTHING = "\0";

/** All phrases as one minimal automaton over letters. State 0 is the start. */
export class Letters {
  /**
   * @param {string} labels of arcs: letters, the space, ANYTHING
   * @param {Record<string, Uint8Array>} files arrays in numpy's format .npy
   */
  constructor(labels, files) {
    this.labels = labels;
    this.sources = new Int32Array(values(files, "sources", "<i4")); // [arcs]
    this.targets = new Int32Array(values(files, "targets", "<i4")); // [arcs]
    this.labelIds = new Uint8Array(values(files, "label_ids", "|u1")); // [arcs], into `labels`
    this.weights = new Float32Array(values(files, "weights", "<f4")); // [arcs], log
    this.ends = new Float32Array(values(files, "final", "<f4")); // [states], log; -Infinity: no end
  }
}

/**
 * The bytes of the values of an array.
 * @param {Record<string, Uint8Array>} files
 * @param {string} name
 * @param {string} type
 */
function values(files, name, type) {
  const file = files[`${name}.npy`];
  const start = 10 + file[8] + 256 * file[9];
  const header = new TextDecoder("latin1").decode(file.subarray(10, start));
  if (file[6] !== 1 || !header.includes(`'${type}'`)) {
    throw new Error(`${name} is no array of type ${type}`);
  }
  return file.slice(start).buffer;
}
