// Cases of the ops that networks beyond ResNet need; see cases.ts.
import { A, F, type OpCase } from './operands.ts';
import { maps, type Size, single, tolerances } from './single.ts';

function activationCases(x: Size): OpCase[] {
  const X = A(...x);
  // The gradients are products and sums of integers; the functions themselves are not exact anywhere but at 0.
  const element = { tolerance: tolerances.element };
  return [
    single({ op: 'sigmoid', inputs: { x: X }, outputs: { y: X }, exact: false, ...element }),
    single({ op: 'sigmoid_grad', inputs: { dy: X, y: X }, outputs: { dx: X }, ...element }),
    single({ op: 'tanh', inputs: { x: X }, outputs: { y: X }, exact: false, ...element }),
    single({ op: 'tanh_grad', inputs: { dy: X, y: X }, outputs: { dx: X }, ...element }),
  ];
}

/** A large range: the ends of the exponential, and the digits of small numbers. */
const wide = [1e-3, 1, 30, 200].flatMap((scale) =>
  ['sigmoid', 'tanh'].map((op) => {
    const x = { ...F(7, 37), draw: (random: { normal(): number }) => scale * random.normal() };
    const given = single({ op, inputs: { x }, outputs: { y: F(7, 37) }, exact: false, tolerance: tolerances.element });
    return { ...given, title: `${given.title} scale ${scale}` };
  }),
);

/** Channels of the inputs: whole blocks of 8 or 16, none, and whole blocks at places that are not. */
const concats: readonly {
  readonly n: number;
  readonly channels: readonly number[];
  readonly map: readonly number[];
}[] = [
  { n: 2, channels: [16, 32], map: [5, 7] },
  { n: 3, channels: [3, 5, 1], map: [3, 4] },
  { n: 2, channels: [8, 24, 16, 16], map: [7, 7] },
  { n: 1, channels: [12, 16, 4], map: [9, 5] },
  { n: 2, channels: [20, 12], map: [1, 1] },
  { n: 5, channels: [48], map: [3, 3] },
  { n: 2, channels: [64, 64, 96, 32], map: [4, 3] },
];

function concatCases({ n, channels, map }: (typeof concats)[number]): OpCase[] {
  const parts = channels.map((c) => A(n, c, ...map));
  const total = channels.reduce((sum, c) => sum + c);
  const whole = A(n, total, ...map);
  const copy = { tolerance: tolerances.copy };
  const inputs = Object.fromEntries(parts.map((part, i) => [`x${i}`, part]));
  let end = 0;
  const slices = parts.map((part) => {
    const begin = end;
    end += part.shape[1] as number;
    return single({ op: 'slice_channels', inputs: { x: whole }, outputs: { y: part }, attributes: { begin }, ...copy });
  });
  return [single({ op: 'concat', inputs, outputs: { y: whole }, ...copy }), ...slices];
}

export const layerCases: readonly OpCase[] = [
  ...maps.flatMap(activationCases),
  ...wide,
  ...concats.flatMap(concatCases),
];
