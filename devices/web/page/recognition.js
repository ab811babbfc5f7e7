/** The recogniser in its worker: each method sends a message and waits for the answer. */
export class Recognition {
  #worker = new Worker("worker.js");
  #waiting = new Map();
  #next = 0;

  /** @param {(heard: object) => void} onHeard called after each block of sound */
  constructor(onHeard) {
    this.#worker.onmessage = ({ data }) => {
      if (data.type === "heard") {
        onHeard(data);
        return;
      }
      const { resolve, reject } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error) {
        reject(new Error(data.error));
      } else {
        resolve(data.answer);
      }
    };
  }

  load(bytes, name) {
    return this.#ask({ action: "load", bytes, name });
  }

  phrases(bytes, name) {
    return this.#ask({ action: "phrases", bytes, name });
  }

  begin() {
    return this.#ask({ action: "begin" });
  }

  samples(samples, rate) {
    return this.#ask({ action: "samples", samples, rate }, [samples.buffer]);
  }

  finish() {
    return this.#ask({ action: "finish" });
  }

  #ask(message, transfer = []) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...message, id }, transfer);
    });
  }
}
