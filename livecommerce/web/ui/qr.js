/** A QR code of a short text (ISO/IEC 18004): byte mode, error correction level M, versions 1 to 10. No DOM. */

/** Of each version at level M: error-correction bytes a block, then [blocks, data bytes a block] once or twice. */
const BLOCKS = [
  [10, [1, 16]], [16, [1, 28]], [26, [1, 44]], [18, [2, 32]], [24, [2, 43]],
  [16, [4, 27]], [18, [4, 31]], [22, [2, 38], [2, 39]], [22, [3, 36], [2, 37]], [26, [4, 43], [1, 44]],
];
const ALIGNMENT = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];
const MASKS = [
  (x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2, (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** Powers of 2 in GF(256) modulo x⁸+x⁴+x³+x²+1, and their logarithms. */
const POWER = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let i = 0, value = 1; i < 255; i += 1, value = value < 128 ? value * 2 : (value * 2) ^ 0x11d) {
  POWER[i] = POWER[i + 255] = value;
  LOG[value] = i;
}

/** `{size, version, mask, rows}`: `rows[y][x]` is 1 where it is dark. Throws RangeError for more than 213 bytes. */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex((_, i) => bytes.length + (i < 9 ? 2 : 3) <= dataBytes(i + 1)) + 1;
  if (version === 0) throw new RangeError("too long for a QR code of ours");
  const bits = spread(codewords(bytes, version));
  const candidates = MASKS.map((_, mask) => draw(version, bits, mask));
  const scores = candidates.map(penalty);
  const mask = scores.indexOf(Math.min(...scores));
  return { size: candidates[mask].length, version, mask, rows: candidates[mask] };
}

function dataBytes(version) {
  return BLOCKS[version - 1].slice(1).reduce((sum, [count, length]) => sum + count * length, 0);
}

/** Header, text, padding; cut into blocks; each block with its error correction; interleaved. */
function codewords(bytes, version) {
  const total = dataBytes(version);
  const wide = version > 9;
  const nibbles = [4, ...(wide ? [0, 0] : []), bytes.length >> 4, bytes.length & 15, ...Array.from(bytes).flatMap((b) => [b >> 4, b & 15]), 0];
  const data = Array.from({ length: Math.ceil(nibbles.length / 2) }, (_, i) => (nibbles[2 * i] << 4) | (nibbles[2 * i + 1] ?? 0)).slice(0, total);
  for (let pad = 0xec; data.length < total; pad ^= 0xec ^ 0x11) data.push(pad);
  const [ecLength, ...groups] = BLOCKS[version - 1];
  const blocks = groups.flatMap(([count, length]) => Array.from({ length: count }, () => data.splice(0, length)));
  const checks = blocks.map((block) => remainder(block, ecLength));
  const longest = Math.max(...blocks.map((block) => block.length));
  const across = (lists, length) => Array.from({ length }, (_, i) => lists.map((list) => list[i])).flat();
  return [...across(blocks, longest).filter((byte) => byte !== undefined), ...across(checks, ecLength)];
}

function remainder(block, length) {
  let generator = [1];
  for (let i = 0; i < length; i += 1) {
    generator = [...generator, 0].map((value, at) => value ^ (at > 0 && generator[at - 1] ? POWER[LOG[generator[at - 1]] + i] : 0));
  }
  const rest = [...block, ...new Array(length).fill(0)];
  for (let i = 0; i < block.length; i += 1) {
    if (!rest[i]) continue;
    const factor = LOG[rest[i]];
    generator.forEach((value, at) => (rest[i + at] ^= value && POWER[LOG[value] + factor]));
  }
  return rest.slice(block.length);
}

function spread(bytes) {
  return bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (byte >> bit) & 1));
}

function draw(version, bits, mask) {
  const size = 17 + 4 * version;
  const rows = Array.from({ length: size }, () => new Array(size).fill(null));
  patterns(rows, version);
  notes(rows, version, mask);
  let next = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right -= 1; // the timing column is no part of the zigzag
    const up = Math.floor((size - 1 - right) / 2) % 2 === 0;
    for (let step = 0; step < size; step += 1) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (rows[y][x] !== null) continue;
        rows[y][x] = (bits[next] ?? 0) ^ (MASKS[mask](x, y) === 0 ? 1 : 0);
        next += 1;
      }
    }
  }
  return rows;
}

/** The three eyes, the alignment squares, the timing lines. */
function patterns(rows, version) {
  const size = rows.length;
  const square = (cx, cy, reach, light) => {
    for (let y = Math.max(0, cy - reach); y <= Math.min(size - 1, cy + reach); y += 1) {
      for (let x = Math.max(0, cx - reach); x <= Math.min(size - 1, cx + reach); x += 1) {
        rows[y][x] = light.includes(Math.max(Math.abs(x - cx), Math.abs(y - cy))) ? 0 : 1;
      }
    }
  };
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(cx, cy, 4, [2, 4]);
  const centres = ALIGNMENT[version - 1];
  for (const cy of centres) for (const cx of centres) if (rows[cy][cx] === null) square(cx, cy, 2, [1]);
  for (let i = 8; i < size - 8; i += 1) rows[6][i] = rows[i][6] = (i + 1) % 2;
}

/** Level and mask beside the eyes, from version 7 on the version too, each with its own error correction. */
function notes(rows, version, mask) {
  const size = rows.length;
  const format = ((mask << 10) | bch(mask << 10, 0x537)) ^ 0x5412; // level M is 00
  for (let i = 0; i < 15; i += 1) {
    const bit = (format >> i) & 1;
    if (i < 6) rows[i][8] = bit;
    else if (i < 8) rows[i + 1][8] = bit;
    else rows[8][i === 8 ? 7 : 14 - i] = bit;
    if (i < 8) rows[8][size - 1 - i] = bit;
    else rows[size - 15 + i][8] = bit;
  }
  rows[size - 8][8] = 1;
  if (version < 7) return;
  const number = (version << 12) | bch(version << 12, 0x1f25);
  for (let i = 0; i < 18; i += 1) {
    const [x, y] = [Math.floor(i / 3), size - 11 + (i % 3)];
    rows[y][x] = rows[x][y] = (number >> i) & 1;
  }
}

function bch(value, generator) {
  const top = Math.floor(Math.log2(generator));
  for (let bit = Math.floor(Math.log2(value || 1)); bit >= top; bit = Math.floor(Math.log2(value || 1))) value ^= generator << (bit - top);
  return value;
}

/** How hard a picture is to read (annex of the standard): the mask with the lowest sum is taken. */
function penalty(rows) {
  const size = rows.length;
  const lines = [...rows, ...rows.map((_, x) => rows.map((row) => row[x]))].map((line) => line.join(""));
  let score = 0;
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) score += run.length - 2;
    for (const eye of ["10111010000", "00001011101"]) for (let at = line.indexOf(eye); at >= 0; at = line.indexOf(eye, at + 1)) score += 40;
  }
  for (let y = 1; y < size; y += 1) {
    for (let x = 1; x < size; x += 1) if (new Set([rows[y][x], rows[y - 1][x], rows[y][x - 1], rows[y - 1][x - 1]]).size === 1) score += 3;
  }
  const dark = rows.flat().reduce((sum, bit) => sum + bit, 0);
  return score + 10 * Math.floor(Math.abs((dark / size / size) * 20 - 10));
}
