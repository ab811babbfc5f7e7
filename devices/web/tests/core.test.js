/** The core on the golden vectors that the Python runtime wrote. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Endpointer } from "../src/endpointer.js";
import { InputError } from "../src/errors.js";
import { Features } from "../src/features.js";
import { GreedyDecoder } from "../src/greedy_decoder.js";
import { Recognizer } from "../src/recognizer.js";
import { Resampler } from "../src/resampler.js";
import { Specification, featureSettings, readSpecification } from "../src/specification.js";
import { Stream } from "../src/stream.js";
import { PROJECT, pieces, read, steps, values } from "./vectors.js";

const CONFIDENCE = 0.0002;

/** @param {string} path */
function model(path) {
  return new Uint8Array(readFileSync(new URL(path, PROJECT)));
}

/** An engine that returns recorded logits, and notes the frames that it gets. */
class ReplayEngine {
  constructor(logits, perChunk) {
    this.logits = logits;
    this.perChunk = perChunk;
    this.frames = [];
  }

  async step(features, states) {
    const from = this.frames.length * this.perChunk;
    this.frames.push(features.slice());
    return { logits: this.logits.slice(from, from + this.perChunk), states };
  }
}

function sameWords(words, expected) {
  assert.deepEqual(
    words.map(({ text, start, end }) => [text, start, end]),
    expected.map(([text, start, end]) => [text, start, end]),
  );
  words.forEach((word, i) => assert.ok(Math.abs(word.confidence - expected[i][3]) <= CONFIDENCE));
}

for (const one of read("features.json").cases) {
  test(`features: ${one.name}`, () => {
    const { samples: source, cuts } = read("features.json");
    const samples = values(one.samples ?? source).subarray(0, one.length);
    const settings = featureSettings(one.settings, one.name);
    const expected = values(one.frames);
    for (const parts of [[samples], pieces(samples, one.cuts ?? cuts)]) {
      const features = new Features(settings, one.mean, one.deviation);
      const frames = [];
      parts.forEach((part) => features.accept(part, (frame) => frames.push(...frame)));
      assert.equal(frames.length, expected.length);
      frames.forEach((value, i) => {
        assert.ok(Math.abs(value - expected[i]) <= 1.2e-7 * Math.abs(expected[i]) + 1e-8, `value ${i}: ${value}`);
      });
    }
  });
}

for (const one of read("resampler.json").cases) {
  test(`resampler: ${one.rate} Hz`, () => {
    const { rate } = read("resampler.json");
    const samples = values(one.samples);
    const expected = values(one.expected);
    const resampler = new Resampler(one.rate, rate);
    const output = pieces(samples, [1, 77, 500]).flatMap((part) => [...resampler.accept(part)]);
    output.push(...resampler.finish());
    assert.equal(output.length, expected.length);
    const edge = 0.02 * rate;
    for (let i = edge; i < output.length - edge; i++) {
      assert.ok(Math.abs(output[i] - expected[i]) <= 0.002, `sample ${i}`);
    }
  });
}

for (const one of read("streams.json").cases) {
  test(`a stream cut at odd places: ${one.name}`, async () => {
    const { samples: source, rate, cuts } = read("streams.json");
    const specification = readSpecification(model(one.model), one.model);
    const [, chunkSteps, symbols] = one.logits.shape;
    const engine = new ReplayEngine(values(one.logits), chunkSteps * symbols);
    const decoder = new GreedyDecoder(specification.alphabet, specification.stepSeconds);
    const stream = new Stream(specification, engine, (logits) => decoder.step(logits));
    const parts = pieces(values(source), cuts);
    for (const [i, part] of parts.entries()) {
      await stream.accept(part, rate);
      assert.equal(decoder.text(), one.partials[i]);
    }
    await stream.finish();
    assert.equal(stream.duration, one.duration);
    sameWords(decoder.finalWords(), one.words);
    const rounded = engine.frames.flatMap((chunk) =>
      [...chunk].map((value) => Math.max(-128, Math.min(127, Math.round(value / one.scale) + one.zero_point))),
    );
    assert.deepEqual(rounded, [...values(one.frames)]);
  });
}

for (const one of read("decoding.json").cases) {
  test(`greedy decoding: ${one.name}`, () => {
    const every = read("decoding.json").partial_steps;
    const decoder = new GreedyDecoder(one.alphabet, one.step_seconds);
    const partials = [];
    const rows = steps(one);
    rows.forEach((logits, i) => {
      decoder.step(logits);
      if ((i + 1) % every === 0 || i + 1 === rows.length) {
        partials.push(decoder.text());
      }
    });
    assert.deepEqual(partials, one.partials);
    sameWords(decoder.finalWords(), one.words);
  });
}

for (const [number, one] of read("endpoints.json").cases.entries()) {
  test(`endpoints ${number}: ${one.name}`, () => {
    const endpointer = new Endpointer(new GreedyDecoder(one.alphabet, one.step_seconds), one.rules);
    steps(one).forEach((logits) => endpointer.step(logits));
    const utterances = endpointer.takeLast();
    assert.equal(utterances.length, one.utterances.length);
    utterances.forEach((utterance, i) => {
      sameWords(utterance.words, one.utterances[i].words);
      assert.ok(Math.abs(utterance.decided - one.utterances[i].decided) < 1e-6);
    });
  });
}

test("streams of one recognizer do not disturb each other", async () => {
  const one = read("streams.json").cases[0];
  const specification = readSpecification(model(one.model), one.model);
  const symbols = specification.alphabet.length;
  // A stand-in whose logits depend on the frames and on a state.
  const engine = {
    async step(features, states) {
      const logits = new Float32Array(specification.chunkSteps * symbols);
      const [name] = Object.keys(states);
      const state = states[name][0] + features.reduce((sum, value) => sum + value, 0);
      for (let step = 0; step < specification.chunkSteps; step++) {
        logits[step * symbols + (Math.abs(Math.trunc(state * (step + 1))) % symbols)] = 9;
      }
      return { logits, states: { ...states, [name]: states[name].map(() => state) } };
    },
  };
  const recognizer = new Recognizer(specification, engine);
  const samples = values(read("streams.json").samples);
  const clips = Array.from({ length: 10 }, (_, i) => samples.subarray(i * 4000, i * 4000 + 60000));
  const alone = [];
  for (const clip of clips) {
    alone.push(await recognizer.transcribe(clip, 16000));
  }
  const listeners = clips.map(() => recognizer.listen({ silence: 100, idle: 100, length: 100 }));
  for (let from = 0; from < 60000; from += 1234) {
    await Promise.all(listeners.map((listener, i) => listener.accept(clips[i].subarray(from, from + 1234), 16000)));
  }
  for (const [i, listener] of listeners.entries()) {
    const text = (await listener.finish()).map((utterance) => utterance.text).join(" ");
    assert.ok(text);
    assert.equal(text, alone[i].text);
  }
});

test("calls that overlap keep their order", async () => {
  const one = read("streams.json").cases[0];
  const specification = readSpecification(model(one.model), one.model);
  const engine = new ReplayEngine(values(one.logits), one.logits.shape[1] * one.logits.shape[2]);
  const listener = new Recognizer(specification, engine).listen({ silence: 100, idle: 100, length: 100 });
  const samples = values(read("streams.json").samples);
  pieces(samples, [8000]).forEach((part) => void listener.accept(part, 16000));
  const [utterance] = await listener.finish();
  assert.equal(utterance.text, one.words.map(([text]) => text).join(" "));
});

test("bad input gets one sentence", async () => {
  const path = "tests/golden/mini.tflite";
  const file = model(path);
  assert.throws(() => readSpecification(file.subarray(0, 5000), "a.tflite"), {
    name: "InputError",
    message: /^a\.tflite: no ds2edge specification inside/,
  });
  const damaged = file.slice();
  damaged[2000] ^= 1;
  assert.throws(() => readSpecification(damaged, "a.tflite"), { message: /is damaged/ });
  const values = {
    format: 1,
    alphabet: ["", "a"],
    features: {},
    mean: Array(161).fill(0),
    deviation: Array(161).fill(1),
    graph: { chunk_steps: 4, time_stride: 2, warmup: 0, lookahead: 0, states: [], layers: [] },
  };
  const specification = new Specification(values, "a.tflite");
  assert.equal(specification.bins, 161);
  assert.throws(() => new Specification({ ...values, format: 2 }, "a"), { message: /newer/ });
  assert.throws(() => new Specification({ ...values, features: { pitch: 1 } }, "a"), { message: /newer .*pitch/ });
  assert.throws(() => new Specification({ ...values, graph: { ...values.graph, layers: [{}] } }, "a"), {
    message: /bidirectional/,
  });
  const stream = new Stream(specification, new ReplayEngine(new Float32Array(0), 8), () => {});
  assert.throws(() => stream.accept(new Float32Array(10), 4000), InputError);
  assert.throws(() => stream.accept(new Float32Array(10), 384000), InputError);
});
