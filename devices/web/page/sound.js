/** Where sound comes from: a microphone or a file. Errors are sentences for people. */

const FILE_RATE = 16000; // Hz; browsers decode files to the rate that is asked for

/** The microphone, until `close`. */
export class Microphone {
  #stream;
  #context;
  #capture;

  /**
   * @param {(samples: Float32Array, rate: number) => void} onSamples
   * @param {(message: string) => void} onLost called if the microphone is taken away
   */
  static async open(onSamples, onLost) {
    const microphone = new Microphone();
    try {
      microphone.#stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      throw new Error(MICROPHONE_ERRORS[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
    const [track] = microphone.#stream.getAudioTracks();
    track.onended = () => onLost("The microphone was taken away: plug it in, then press Start listening.");
    const context = new AudioContext();
    microphone.#context = context;
    await context.audioWorklet.addModule("capture.js");
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    microphone.#capture = capture;
    capture.port.onmessage = ({ data }) => onSamples(data, context.sampleRate);
    context.createMediaStreamSource(microphone.#stream).connect(capture);
    await context.resume();
    return microphone;
  }

  /** Stops. No samples come after this. */
  async close() {
    this.#stream.getTracks().forEach((track) => track.stop());
    await this.#context.close();
    this.#capture.port.onmessage = null; // a late message would find the recording ended
  }
}

const MICROPHONE_ERRORS = {
  NotAllowedError: "This page may not use the microphone: allow it in the browser, then press Start listening.",
  NotFoundError: "There is no microphone: plug one in, then press Start listening.",
  NotReadableError: "Another program uses the microphone: close it, then press Start listening.",
};

/**
 * The samples of a sound or video file, mixed to one channel.
 * @param {File} file
 */
export async function decode(file) {
  const context = new OfflineAudioContext(1, 1, FILE_RATE);
  let sound;
  try {
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: this browser cannot read the file: convert it to WAV or MP3.`);
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => exact(sound.getChannelData(i)));
  const samples = channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
  return { samples, rate: sound.sampleRate };
}

/**
 * 16-bit samples, divided by 32768 as in the Python runtime. Chromium divides the positive ones by
 * 32767, which can change a letter. Other samples stay as they are.
 * @param {Float32Array} samples
 */
function exact(samples) {
  const whole = (sample) => Math.abs(sample * 32767 - Math.round(sample * 32767)) < 1e-2;
  if (!samples.every((sample) => sample <= 0 || whole(sample))) {
    return samples;
  }
  return samples.map((sample) => (sample > 0 ? Math.round(sample * 32767) / 32768 : sample));
}

/**
 * Level in dB relative to full scale.
 * @param {Float32Array} samples
 */
export function level(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return 10 * Math.log10(power + 1e-12);
}

/** What this browser lacks, as a sentence; "" if nothing. */
export function missing() {
  if (!window.isSecureContext) {
    return "Browsers allow microphones on secure pages only: open this page with https, or on localhost.";
  }
  const needs = { WebAssembly: "WebAssembly", Worker: "workers", AudioWorkletNode: "audio worklets" };
  const lacks = Object.keys(needs).filter((name) => !(name in window));
  return lacks.length ? `This browser lacks ${lacks.map((name) => needs[name]).join(", ")}: use a newer one.` : "";
}
