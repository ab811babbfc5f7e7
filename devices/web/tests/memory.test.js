/** Long recordings in constant memory. The network is a stand-in that returns recorded logits. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { Phrases } from "../src/phrases.js";
import { Recognizer } from "../src/recognizer.js";
import { readSpecification } from "../src/specification.js";
import { PROJECT, bytes, read, values } from "./vectors.js";

const RATE = 16000;
const BLOCK_SECONDS = 0.5;
const FIRST_MINUTES = 10; // until then, memory may grow
const MOST_GROWTH = 256 * 1024; // bytes
const RULES = { silence: 0.6 };

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** Bytes that are in use, also those of typed arrays. */
async function usedBytes() {
  for (let i = 0; i < 3; i++) {
    await new Promise(setImmediate);
    collect();
  }
  const { heapUsed, external } = process.memoryUsage(); // external includes arrayBuffers
  return heapUsed + external;
}

/** An engine that returns the chunks of a recording again and again. */
function replay({ logits }) {
  const all = values(logits);
  const [chunks, steps, symbols] = logits.shape;
  let chunk = 0;
  return {
    async step(_features, states) {
      const from = (chunk++ % chunks) * steps * symbols;
      return { logits: all.slice(from, from + steps * symbols), states };
    },
  };
}

for (const [name, minutes, phrases] of [
  ["an hour of free text", 60, null],
  ["20 minutes of phrases", 20, Phrases.read(bytes("house.ds2ph"), "house.ds2ph")],
]) {
  test(name, async () => {
    const one = read("streams.json").cases[0];
    const file = new Uint8Array(readFileSync(new URL(one.model, PROJECT)));
    const recognizer = new Recognizer(readSpecification(file, one.model), replay(one));
    recognizer.phrases = phrases;
    const listener = recognizer.listen(RULES);
    const block = Float32Array.from({ length: BLOCK_SECONDS * RATE }, (_, i) => Math.sin(i / 20));
    let utterances = 0;
    let before = 0;
    for (let number = 1; number <= (minutes * 60) / BLOCK_SECONDS; number++) {
      utterances += (await listener.accept(block, RATE)).length;
      assert.ok(listener.partial.length < 200);
      if (number === (FIRST_MINUTES * 60) / BLOCK_SECONDS) {
        before = await usedBytes();
      }
    }
    const growth = (await usedBytes()) - before;
    await listener.finish(); // keeps the listener in memory until here
    assert.ok(utterances > 10 * minutes && utterances < 60 * minutes, `${utterances} utterances`);
    assert.ok(growth < MOST_GROWTH, `${growth} bytes more after ${minutes} than after ${FIRST_MINUTES} minutes`);
  });
}
