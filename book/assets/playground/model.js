"use strict";
/** The model of chapters 2 to 4, its training, and what no rule can beat. */
const PlaygroundModel = (() => {
  /** The blog's start: `helpers.model.BLOG_PARAMS`. */
  const START = { w1: 0.32724857, w2: -1.1509773, b: 0 };

  const build = (of) => ({ w1: of("w1"), w2: of("w2"), b: of("b") });

  function initialState() {
    return { step: 0, first: build(() => 0), second: build(() => 0) };
  }

  /**
   * One step, as Optax takes it: `sgd(rate)`, `sgd(rate, momentum=0.9)` or
   * `adam(rate)`. Source of Adam: Kingma and Ba (2015), algorithm 1.
   */
  function step(optimizer, rate, params, state, gradient) {
    const count = state.step + 1;
    const adam = optimizer === "adam";
    const [keep, add] = { sgd: [0, 1], momentum: [0.9, 1], adam: [0.9, 0.1] }[
      optimizer
    ];
    const first = build((k) => keep * state.first[k] + add * gradient[k]);
    const second = build(
      (k) => 0.999 * state.second[k] + 0.001 * gradient[k] ** 2,
    );
    const update = build((k) => {
      if (!adam) return first[k];
      const mean = first[k] / (1 - 0.9 ** count);
      const square = second[k] / (1 - 0.999 ** count);
      return mean / (Math.sqrt(square) + 1e-8);
    });
    return {
      params: build((k) => params[k] - rate * update[k]),
      state: { step: count, first, second },
    };
  }

  /**
   * The share of a standard normal below z, to 1e-7. Source: Abramowitz and
   * Stegun, 7.1.26.
   */
  function normalBelow(z) {
    const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
    const sum = [
      1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592,
    ].reduce((rest, term) => (rest + term) * t, 0);
    const tail = (sum * Math.exp((-z * z) / 2)) / 2;
    return z < 0 ? tail : 1 - tail;
  }

  // A standard normal, as chapter 6 takes it: places, and their masses.
  const PLACES = Array.from({ length: 2001 }, (_, i) => i / 125 - 8);
  const MASSES = PLACES.map((z) => Math.exp((-z * z) / 2) / 313.3285343);

  /**
   * How a line does, on average, on fresh points of the true line. For the
   * true line itself that is what no rule can beat. Both logits are normal;
   * given the true one, the line's is normal, too.
   */
  function freshScores(params, truth, threshold = 0) {
    const [xx, yy] = [PlaygroundData.X_SD ** 2, PlaygroundData.Y_SD ** 2];
    const covariance = (u, v) => xx * u.w1 * v.w1 + yy * u.w2 * v.w2;
    const [own, spread] = [params, truth].map((line) =>
      Math.sqrt(covariance(line, line)),
    );
    const slope = covariance(params, truth) / spread;
    const rest = Math.sqrt(Math.max(own * own - slope * slope, 0));
    let [loss, accuracy] = [0, 0];
    PLACES.forEach((z, i) => {
      const p = sigmoid(truth.b + spread * z);
      const mean = params.b + slope * z;
      const over = mean - threshold;
      const above = rest ? normalBelow(over / rest) : Number(over > 0);
      loss += MASSES[i] * (softplus(params.b + own * z) - p * mean);
      accuracy += MASSES[i] * (p * above + (1 - p) * (1 - above));
    });
    return { loss, accuracy };
  }

  return { START, freshScores, initialState, step };
})();
