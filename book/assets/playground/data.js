"use strict";
/**
 * The data sets of chapter 1, points to 1e-6 and labels exactly: JAX's random
 * numbers in JavaScript, in float32 wherever JAX computes in float32.
 */
const PlaygroundData = (() => {
  const f32 = Math.fround;
  const X_SD = 2;
  const Y_SD = 1;

  const ROTATIONS = [
    [13, 15, 26, 6],
    [17, 29, 16, 24],
  ];

  /**
   * Threefry-2x32, twenty rounds. Source: Salmon, Moraes, Dror and Shaw,
   * "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).
   */
  function threefry([k0, k1], high, low) {
    const keys = [k0, k1, k0 ^ k1 ^ 0x1bd11bda];
    let a = (high + k0) | 0;
    let b = (low + k1) | 0;
    for (let group = 0; group < 5; group++) {
      for (const bits of ROTATIONS[group % 2]) {
        a = (a + b) | 0;
        b = ((b << bits) | (b >>> (32 - bits))) ^ a;
      }
      a = (a + keys[(group + 1) % 3]) | 0;
      b = (b + keys[(group + 2) % 3] + group + 1) | 0;
    }
    return [a >>> 0, b >>> 0];
  }

  /** `jax.random.split`, into two. */
  function split(key) {
    return [threefry(key, 0, 0), threefry(key, 0, 1)];
  }

  /** `jax.random.uniform`: whole multiples of 2 ** -23 from 0, below 1. */
  function uniform(key, n) {
    return Float32Array.from({ length: n }, (_, index) => {
      const [high, low] = threefry(key, 0, index);
      return ((high ^ low) >>> 9) / 2 ** 23;
    });
  }

  const CENTRE = [
    2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
  ].map(f32);
  const TAIL = [
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844,
    0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
  ].map(f32);

  /**
   * The inverse error function by the steps of XLA, in float32.
   * Source: M. Giles, "Approximating the erfinv function" (2011).
   */
  function inverseErf(x) {
    const w = f32(-f32(Math.log1p(-f32(x * x))));
    const [terms, at] =
      w < 5 ? [CENTRE, f32(w - 2.5)] : [TAIL, f32(f32(Math.sqrt(w)) - 3)];
    const p = terms.reduce((sum, term) => f32(term + f32(sum * at)), 0);
    return f32(p * x);
  }

  /** `jax.random.normal`. */
  function normal(key, n) {
    const low = f32(-1 + 2 ** -24);
    const root = f32(Math.SQRT2);
    return uniform(key, n).map((u) => {
      const between = Math.max(low, f32(f32(u * 2) + low));
      return f32(root * inverseErf(between));
    });
  }

  /** `helpers.data.make_dataset`; `jax.random.key(seed)` is [0, seed]. */
  function makeDataset(seed, n, line) {
    const [pointsKey, labelsKey] = split([0, seed]);
    const [xKey, yKey] = split(pointsKey);
    const x = normal(xKey, n).map((value) => f32(X_SD * value));
    const y = normal(yKey, n).map((value) => f32(Y_SD * value));
    const [w1, w2, b] = [f32(line.w1), f32(line.w2), f32(line.b)];
    const label = Uint8Array.from(uniform(labelsKey, n), (u, i) => {
      const logit = f32(f32(f32(w1 * x[i]) + f32(w2 * y[i])) + b);
      const probability = f32(1 / f32(1 + f32(Math.exp(-logit))));
      return u < probability ? 1 : 0;
    });
    return { x, y, label };
  }

  return { X_SD, Y_SD, makeDataset };
})();
