import { unzipSync } from "fflate";

const END_RECORD = 0x06054b50; // signature of the last record of a zip
const END_RECORD_BYTES = 22;
const MOST_BYTES = 1 << 27; // of one file inside

/**
 * The files of a zip by name, or null if it is none or is damaged.
 * @param {Uint8Array} bytes it may have other bytes in front of the zip
 * @returns {Record<string, Uint8Array> | null}
 */
export function unzip(bytes) {
  try {
    return unzipSync(bytes, { filter: (file) => file.originalSize <= MOST_BYTES });
  } catch {
    return null;
  }
}

/**
 * Where the first file of a zip begins, which its directory at the end says.
 * @param {Uint8Array} bytes whose end is a zip
 */
export function startOfZip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - END_RECORD_BYTES;
  while (view.getUint32(end, true) !== END_RECORD) {
    end--;
  }
  const directory = view.getUint32(end + 16, true);
  return view.getUint32(directory + 42, true);
}

/**
 * The zip that ends at `end`, or null if there is none.
 * @param {Uint8Array} bytes
 * @param {number} end
 */
export function zipBefore(bytes, end) {
  const last = end - END_RECORD_BYTES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (last < 0 || view.getUint32(last, true) !== END_RECORD) {
    return null;
  }
  const start = last - view.getUint32(last + 12, true) - view.getUint32(last + 16, true);
  return start < 0 ? null : bytes.subarray(start, end);
}

/**
 * CRC-32 as 8 hexadecimal digits.
 * @param {Uint8Array} bytes
 */
export function crc32(bytes) {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) {
      value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    }
    table[i] = value;
  }
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum = table[(sum ^ byte) & 255] ^ (sum >>> 8);
  }
  return ((sum ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}
