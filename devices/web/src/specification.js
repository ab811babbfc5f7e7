import { InputError } from "./errors.js";
import { Phrases } from "./phrases.js";
import { crc32, startOfZip, unzip, zipBefore } from "./zip.js";

const FORMAT = 1;
const MEMBER = "ds2edge.json";
const CHECKSUM = "ds2edge.crc32";

/**
 * How samples become frames. Levels are in dB relative to a full-scale sine.
 * @typedef {object} FeatureSettings
 * @property {number} sampleRate in Hz
 * @property {number} window samples in the window of one frame
 * @property {number} hop samples from one frame to the next
 * @property {number} melBands 0: linear bins; otherwise the number of mel bands
 * @property {number} floorDb lower bound of a level
 * @property {number} ceilingDb upper bound of a level
 * @property {number} levelRise 0: bounds relative to full scale; otherwise to a running level
 * @property {number} levelFall share by which a softer frame moves the running level
 */

/**
 * A float32 tensor that a stream carries from chunk to chunk. It begins as zeros.
 * @typedef {{name: string, shape: number[]}} State
 */

/** Everything that must be known to run a model. It is JSON inside the .tflite file. */
export class Specification {
  /**
   * @param {any} values the parsed JSON
   * @param {string} source name of the model, with which messages begin
   */
  constructor(values, source) {
    this.source = source;
    if ((values.format ?? FORMAT) > FORMAT) {
      throw new InputError(`${source}: a newer ds2edge made this model: use a newer version of this page`);
    }
    const graph = values.graph;
    if (!graph || !Array.isArray(values.alphabet) || !values.features) {
      throw new InputError(`${source}: the specification inside is not complete: convert the run again`);
    }
    if (graph.layers?.length) {
      throw new InputError(
        `${source}: a bidirectional model needs whole clips and cannot transcribe live: ` +
          'train and convert a model with direction = "forward"',
      );
    }
    /** @type {string} */
    this.name = values.name;
    /** Symbol of each logit. Symbol 0 is the blank, "". @type {string[]} */
    this.alphabet = values.alphabet;
    this.features = featureSettings(values.features, source);
    /** @type {number[]} */
    this.mean = values.mean;
    /** @type {number[]} */
    this.std = values.deviation;
    /** @type {number} */
    this.chunkSteps = graph.chunk_steps;
    /** @type {number} */
    this.timeStride = graph.time_stride;
    /** @type {number} */
    this.warmup = graph.warmup;
    /** @type {number} */
    this.lookahead = graph.lookahead;
    /** Steps that attention sees as a whole. @type {number} */
    this.attentionChunk = graph.attention_chunk ?? 1;
    /** @type {State[]} */
    this.states = graph.states;
    /** Facts for people: data, licence, word error rate. @type {Record<string, unknown>} */
    this.training = values.training ?? {};
    /** Phrases inside the model file; null if it has none. @type {Phrases | null} */
    this.phrases = null;
    const bins = this.bins;
    if (this.mean?.length !== bins || this.std?.length !== bins) {
      throw new InputError(`${source}: the specification has no statistics for its ${bins} bins: convert the run again`);
    }
  }

  /** Values per frame. */
  get bins() {
    return this.features.melBands || Math.floor(this.features.window / 2) + 1;
  }

  /** Frames per run of the network. */
  get chunkFrames() {
    return this.chunkSteps * this.timeStride;
  }

  /** Seconds of sound per output step. */
  get stepSeconds() {
    return (this.timeStride * this.features.hop) / this.features.sampleRate;
  }

  /** Zeros to feed before the first sample. */
  get samplesBefore() {
    return this.warmup * this.timeStride * this.features.hop;
  }

  /**
   * Zeros to feed after the last of `samples`. The padded clip makes whole output steps: at least
   * one, as many as it takes to cover the last sample, then `lookahead` more, and then as many as
   * fill the last chunk of attention.
   * @param {number} samples
   */
  samplesAfter(samples) {
    const { window, hop } = this.features;
    const frames = 1 + Math.max(0, Math.ceil((samples - window) / hop));
    let steps = Math.ceil(frames / this.timeStride) + this.lookahead;
    const rest = (this.warmup + steps) % this.attentionChunk;
    steps += rest ? this.attentionChunk - rest : 0;
    return (steps * this.timeStride - 1) * hop + window - samples;
  }
}

const FEATURE_KEYS = {
  sample_rate: "sampleRate",
  window: "window",
  hop: "hop",
  mel_bands: "melBands",
  floor_db: "floorDb",
  ceiling_db: "ceilingDb",
  level_rise: "levelRise",
  level_fall: "levelFall",
};
const FEATURE_DEFAULTS = {
  sampleRate: 16000,
  window: 320,
  hop: 160,
  melBands: 0,
  floorDb: -80,
  ceilingDb: 0,
  levelRise: 0,
  levelFall: 0.003,
};

/**
 * Names the settings as this package does. A setting that is not known here could change the text,
 * so it is refused.
 * @param {Record<string, number>} values
 * @param {string} source
 * @returns {FeatureSettings}
 */
export function featureSettings(values, source) {
  const settings = { ...FEATURE_DEFAULTS };
  for (const [key, value] of Object.entries(values)) {
    const name = /** @type {Record<string, string>} */ (FEATURE_KEYS)[key];
    if (!name) {
      throw new InputError(`${source}: a newer ds2edge made this model (it sets '${key}'): use a newer version of this page`);
    }
    /** @type {Record<string, number>} */ (settings)[name] = value;
  }
  return settings;
}

/**
 * Reads the specification and the phrases in a model file, and checks that the file is undamaged.
 * @param {Uint8Array} model the whole file
 * @param {string} source name of the file, with which messages begin
 */
export function readSpecification(model, source) {
  const members = unzip(model);
  if (!members?.[MEMBER]) {
    throw new InputError(
      `${source}: no ds2edge specification inside: the file is cut short or was not made by \`ds2edge convert\``,
    );
  }
  const text = new TextDecoder();
  const checksum = members[CHECKSUM];
  const zip = startOfZip(model);
  if (checksum && text.decode(checksum) !== crc32(model.subarray(0, zip))) {
    throw new InputError(`${source}: is damaged: copy or convert the model again`);
  }
  let values;
  try {
    values = JSON.parse(text.decode(members[MEMBER]));
  } catch {
    throw new InputError(`${source}: the specification is not JSON: convert the run again`);
  }
  const specification = new Specification(values, source);
  const phrases = zipBefore(model, zip);
  specification.phrases = phrases && Phrases.read(phrases, `${source}: phrases inside`);
  return specification;
}
