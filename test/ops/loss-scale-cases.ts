// Loss scaling, and undoing a step: divided and checked gradients of several chunks, the rule of the scale, copies.
import { drawn, filterS, integers, type OpCase, type Operand, type Operands, S, variable } from './operands.ts';
import { single, tolerances } from './single.ts';

const gradients = { g0: filterS(16, 16, 3, 3), g1: S(17), g2: filterS(64, 32, 3, 3), g3: S(1) };

const powerOfTwo = drawn(S(1), (random) => 2 ** random.integer(-3, 16)); // division is exact
const flag = integers(0, 1, 1);

// One number in about 5,000 is not finite, or none.
const unscaleCases = [0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((bad) => {
  const spoilt = drawn(gradients.g2, (random) =>
    bad !== 0 && random.integer(0, 5000) === 0 ? bad : random.normal() * 2 ** random.integer(-8, 8),
  );
  return unscaleCase(`${bad === 0 ? 'finite' : bad}`, { ...gradients, g2: spoilt });
});

// The only bad number is the last of a chunk that is not the first, or of the last gradient.
const lateCases = [18_432, 1].map((count) => {
  const spoilt = lastOf(count, Number.NaN);
  return unscaleCase(`bad at ${count - 1}`, count === 1 ? { ...gradients, g3: spoilt } : { ...gradients, g2: spoilt });
});

/** Normal numbers and, in the last place, `last`: every draw starts with the first place. */
function lastOf(count: number, last: number): Operand {
  let place = 0;
  return drawn(count === 1 ? gradients.g3 : gradients.g2, (random) => {
    place = (place % count) + 1;
    return place === count ? last : random.normal();
  });
}

function unscaleCase(title: string, given: Operands): OpCase {
  const plain = single({
    op: 'unscale',
    inputs: { loss_scale: powerOfTwo, ...given },
    outputs: { ...copiesOf(given), finite: flag },
    exact: false,
    tolerance: tolerances.copy,
  });
  return { ...plain, title: `${plain.title} ${title}` };
}

/** finite, scale and good steps before. */
const updates = [
  ['bad', 0, 65536, 1234],
  ['good', 1, 65536, 7],
  ['growing', 1, 65536, 1999],
] as const;

const updateCases = updates.map(([title, finite, scale, good]) => {
  const plain = single({
    op: 'update_loss_scale',
    inputs: { finite: integers(finite, finite, 1) },
    outputs: {
      loss_scale: variable(drawn(S(1), () => scale)),
      good_steps: variable(integers(good, good, 1)),
    },
    attributes: { growth: 2, backoff: 0.5, interval: 2000 },
    tolerance: tolerances.copy,
  });
  return { ...plain, title: `${plain.title} ${title}` };
});

const kept = { ...gradients, g4: integers(-9, 9, 1) };
const variables = Object.fromEntries(Object.values(kept).map((given, i) => [`x${i}`, variable(given)]));

const snapshotCase = single({ op: 'snapshot', inputs: kept, outputs: copiesOf(kept), tolerance: tolerances.copy });

function copiesOf(given: Operands): Operands {
  return Object.fromEntries(Object.entries(given).map(([name, own]) => [name.replace('g', 'y'), own]));
}

const restoreCases = [0, 1].map((keep) => {
  const inputs = { keep: integers(keep, keep, 1), ...kept };
  const plain = single({ op: 'restore', inputs, outputs: variables, tolerance: tolerances.copy });
  return { ...plain, title: `${plain.title} ${keep === 1 ? 'keeping' : 'restoring'}` };
});

export const lossScaleCases: readonly OpCase[] = [
  ...unscaleCases,
  ...lateCases,
  ...updateCases,
  snapshotCase,
  ...restoreCases,
];
