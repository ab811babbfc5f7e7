/** Prints milliseconds per chunk of the network and of all else in Chromium: ADDRESS CLIP ROUNDS. */
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [address, clip, rounds] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const page = await browser.newPage();
await page.goto(address);
const times = await page.evaluate(
  async ({ sound, rounds }) => {
    const { LiteRtEngine, Recognizer, readSpecification } = await import("./src/index.js");
    const { decode } = await import("./sound.js");
    const bytes = Uint8Array.from(atob(sound), (letter) => letter.charCodeAt(0));
    const { samples, rate } = await decode(new File([bytes], "clip"));
    const model = new Uint8Array(await (await fetch("model.tflite")).arrayBuffer());
    const specification = readSpecification(model, "model.tflite");
    const engine = await LiteRtEngine.load(model, specification, "./");
    const found = { network: Infinity, rest: Infinity };
    for (let round = 0; round < rounds; round++) {
      let network = 0;
      let steps = 0;
      const clock = {
        async step(features, states) {
          const started = performance.now();
          const result = await engine.step(features, states);
          network += performance.now() - started;
          steps++;
          return result;
        },
      };
      const started = performance.now();
      await new Recognizer(specification, clock).transcribe(samples, rate);
      const whole = performance.now() - started;
      found.network = Math.min(found.network, network / steps);
      found.rest = Math.min(found.rest, (whole - network) / steps);
    }
    return found;
  },
  { sound: readFileSync(clip).toString("base64"), rounds: Number(rounds) },
);
console.log(JSON.stringify(times));
await browser.close();
