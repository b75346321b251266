// The numbers that the page holds, how they are read back, and their colours.

const facts = JSON.parse(document.getElementById("facts").textContent);
const [ROWS, COLUMNS] = facts.grid;
const PATCHES = ROWS * COLUMNS;
const FIRST = facts.classToken ? 1 : 0;     // token of the first patch
const TOKENS = PATCHES + FIRST;
const LEAST = facts.leastCosine;            // of two positions
const BLOCKS = facts.blocks.length, HEADS = facts.heads, MEAN = HEADS;

async function bytesOf(id) {
    const text = document.getElementById(id).textContent;
    const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
}

// Rows of TOKENS numbers: the largest of each, and 8 bits for the root of each share of it
class Rows {
    constructor(buffer, count) {
        this.largest = new Float32Array(buffer, 0, count);
        this.bytes = new Uint8Array(buffer, 4 * count);
    }

    // Add a row, times a factor, to an array
    add(row, factor, sum) {
        const scale = factor * this.largest[row] / (255 * 255);
        const start = row * TOKENS;
        for (let i = 0; i < TOKENS; i++) {
            const byte = this.bytes[start + i];
            sum[i] += scale * byte * byte;
        }
    }
}

async function readNumbers() {
    const pictures = await Promise.all(facts.pictures.map(async (_, i) => ({
        attention: new Rows(await bytesOf(`attention-${i}`), BLOCKS * HEADS * TOKENS),
        rollout: new Rows(await bytesOf(`rollout-${i}`), TOKENS),
    })));
    const cosines = facts.positions ? new Uint8Array(await bytesOf("positions")) : null;
    return {pictures, cosines};
}

// The attention of tokens to all tokens, in one head or in the mean of the heads
function attentionOf(picture, block, head, tokens) {
    const sum = new Float32Array(TOKENS);
    const heads = head === MEAN ? [...Array(HEADS).keys()] : [head];
    for (const h of heads)
        for (const token of tokens)
            picture.attention.add((block * HEADS + h) * TOKENS + token,
                                  1 / (heads.length * tokens.length), sum);
    return sum;
}

// How much of each patch is in tokens after all blocks, as shares of the sum over the patches
function rolloutOf(picture, tokens) {
    const sum = new Float32Array(TOKENS);
    for (const token of tokens) picture.rollout.add(token, 1, sum);
    const shares = sum.subarray(FIRST);
    const whole = shares.reduce((a, b) => a + b, 0);
    return shares.map(share => share / whole);
}

// The cosines of one patch's position with all, or their means over all patches
function cosinesOf(cosines, tokens) {
    const sum = new Float32Array(PATCHES);
    for (const token of tokens)
        for (let i = 0; i < PATCHES; i++)
            sum[i] += (cosines[(token - FIRST) * PATCHES + i] / 127 - 1) / tokens.length;
    return sum;
}

// From 0 to 1 on the scale of colours, where an even share is in the middle
function levelsOf(values, view) {
    if (view === "positions") return values.map(cosine => Math.min(1, Math.max(0, (cosine - LEAST) / (1 - LEAST))));
    const even = 1 / (view === "attention" ? TOKENS : PATCHES), octaves = facts.octaves[view];
    return values.map(share => {
        const level = 0.5 + Math.log2(Math.max(share / even, 1e-9)) / (2 * octaves);
        return Math.min(1, Math.max(0, level));
    });
}

// 256 colours between the given ones
function paletteOf(colours) {
    const stops = colours.map(text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16)));
    const palette = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
        const place = i / 255 * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
        const [r, g, b] = stops[low].map(
            (from, k) => Math.round(from + (place - low) * (stops[low + 1][k] - from)));
        palette[i] = (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    }
    return palette;
}

// Paint levels, one pixel each
function paint(canvas, levels, palette) {
    const pixels = new Uint32Array(levels.length);
    levels.forEach((level, i) => { pixels[i] = palette[Math.round(255 * level)]; });
    const image = new ImageData(new Uint8ClampedArray(pixels.buffer), canvas.width, canvas.height);
    canvas.getContext("2d").putImageData(image, 0, 0);
}

// Darken a picture where the map is not warm
function veil(canvas, levels) {
    const pixels = new Uint8ClampedArray(4 * levels.length);
    levels.forEach((level, i) => {
        const lit = Math.min(1, Math.max(0, (level - 0.25) / 0.37));
        pixels[4 * i + 3] = 255 * 0.68 * (1 - lit * lit * (3 - 2 * lit));
    });
    const image = new ImageData(pixels, canvas.width, canvas.height);
    canvas.getContext("2d").putImageData(image, 0, 0);
}
