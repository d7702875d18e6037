// Groups that fuse() asks about before it forms them: a refusal leaves the nodes as they were, and what it asks about are both
// sides of the matter.
import { describe, expect, it } from 'vitest';
import {
  autocast,
  fuse,
  fusions,
  Graph,
  type Group,
  gradient,
  graphText,
  structureText,
} from '../../lib/graph/index.ts';
import { BatchNorm2d, Conv2d, GlobalAvgPool, Linear, ReLU, Sequential } from '../../lib/nn/index.ts';
import { softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { everything, predictionOf, trainingOf } from './fused/graphs.ts';
import { bottlenecks, stepOf } from './fused/narrow.ts';

// For one picture the weights of the last stage are larger than its maps, and its normalisations are not folded.
const graphs = {
  'training in float32': trainingOf('cifar-resnet20'),
  'training in float16': trainingOf('cifar-resnet20', 'float16'),
  'bottlenecks in float16': stepOf(bottlenecks, 'float16'),
  inference: predictionOf('cifar-resnet20', 1),
};

describe.each(Object.entries(graphs))('%s', (_, graph) => {
  it('is fused as ever where all groups are agreed to', () => {
    expect(graphText(fuse(graph, everything, [], () => true))).toBe(graphText(fuse(graph, everything)));
  });

  it('stays as it is where none is', () => {
    expect(graphText(fuse(graph, everything, [], () => false))).toBe(graphText(graph));
  });
});

it.each(fusions().filter((name) => name !== 'concat'))('refusing %s is as if no device had it', (name) => {
  let refused = 0;
  const choose = ({ op }: Group) => {
    if (op === name) refused += 1;
    return op !== name;
  };
  const others = new Set([...everything].filter((feature) => feature !== `op:${name}`));
  for (const graph of Object.values(graphs))
    expect(graphText(fuse(graph, everything, [], choose))).toBe(graphText(fuse(graph, others)));
  expect(refused).toBeGreaterThan(0);
});

/** Three convolutions of 8 channels, each normalised and rectified, in float16; the first is 0. */
function threeLayers(): Graph {
  const graph = new Graph({ training: true });
  const layers = [0, 1, 2].flatMap(() => [
    new Conv2d(8, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
  ]);
  const net = new Sequential(...layers, new GlobalAvgPool(), new Linear(8, 2));
  const logits = net.call(graph.input('x', { shape: [2, 8, 5, 5], format: 'activation' }));
  graph.name(softmaxCrossEntropy(logits, graph.input('labels', { shape: [2], dtype: 'int32' })), 'loss');
  const half = autocast(graph, 'float16');
  const parameters = net.namedParameters().map(([parameter]) => half.find(parameter));
  gradient(half.find('loss'), parameters);
  return half;
}

/** What stands at the layers 0 to 8, forward and then backward, but for the casts. */
function opsOf({ nodes }: Graph): string[] {
  return nodes.filter(({ op, path }) => op !== 'cast' && /^[0-8]$/.test(path)).map(({ op, path }) => `${path} ${op}`);
}

describe('groups refused by name', () => {
  const inLayer = (layer: string) => (group: Group) => !group.unfused.graph.nodes.some(({ path }) => path === layer);

  it('leave their neighbours alone', () => {
    expect(opsOf(fuse(threeLayers(), everything))).toEqual([
      ...['0 conv2d_statistics', '0 batch_norm_finish', '3 scaled_conv2d_statistics', '3 batch_norm_finish'],
      ...['6 scaled_conv2d_statistics', '6 batch_norm_summed_relu'],
      ...['7 batch_norm_relu_grad', '6 scaled_conv2d_wgrad', '6 conv2d_dgrad_statistics', '6 batch_norm_summed_grad'],
      ...['3 scaled_conv2d_wgrad', '3 conv2d_dgrad_statistics', '3 batch_norm_summed_grad', '0 conv2d_wgrad'],
    ]);
    // The sums of layer 3: its normalisation is an ordinary one, and no prologue of layer 6.
    const noSums = (group: Group) => group.op !== 'batch_norm_summed' || inLayer('3')(group);
    expect(opsOf(fuse(threeLayers(), everything, [], noSums))).toEqual([
      ...['0 conv2d_statistics', '0 batch_norm_summed_relu', '3 conv2d', '4 batch_norm_relu'],
      ...['6 conv2d_statistics', '6 batch_norm_summed_relu'],
      ...['7 batch_norm_relu_grad', '6 conv2d_wgrad', '6 conv2d_dgrad_statistics', '6 batch_norm_summed_grad'],
      ...['3 conv2d_wgrad', '3 conv2d_dgrad_statistics', '3 batch_norm_summed_grad', '0 conv2d_wgrad'],
    ]);
    // The sums of the gradient that leaves layer 6.
    const noGradientSums = (group: Group) => group.op !== 'batch_norm_summed_grad' || inLayer('6')(group);
    expect(opsOf(fuse(threeLayers(), everything, [], noGradientSums))).toEqual([
      ...['0 conv2d_statistics', '0 batch_norm_finish', '3 scaled_conv2d_statistics', '3 batch_norm_finish'],
      ...['6 scaled_conv2d_statistics', '6 batch_norm_summed_relu'],
      ...['7 batch_norm_relu_grad', '6 scaled_conv2d_wgrad', '6 conv2d_dgrad', '4 batch_norm_relu_grad'],
      ...['3 scaled_conv2d_wgrad', '3 conv2d_dgrad_statistics', '3 batch_norm_summed_grad', '0 conv2d_wgrad'],
    ]);
  });
});

describe('what is asked about', () => {
  function asked(graph: Graph): Map<string, Group> {
    const groups = new Map<string, Group>();
    fuse(graph, everything, [], (group) => {
      if (!groups.has(group.op)) groups.set(group.op, group);
      return true;
    });
    return groups;
  }

  it('are the nodes as they are, and as they would be', () => {
    const map = 'float16 activation [2,8,5,5]';
    const channels = 'float32 plain [8]';
    const conv = '{stride: [1,1], padding: [1,1,1,1], dilation: [1,1], groups: 1}';
    const group = asked(threeLayers()).get('batch_norm_summed') as Group;
    const given = `${map}, float16 filter [8,8,3,3], ${[1, 2, 3, 4].map(() => channels).join(', ')}`;
    const norm = `: ${channels}, 9: ${channels}, 4, 5 = `;
    const attributes = '{epsilon: 0.00001, momentum: 0.1}';
    expect(structureText(group.unfused.graph)).toBe(
      `${given}; 6: ${map} = conv2d(0, 1) ${conv}; 7: ${map}, 8${norm}batch_norm(6, 2, 3) ${attributes}`,
    );
    expect(group.fused.graph.nodes.map(({ op }) => op)).toEqual(['conv2d_statistics', 'batch_norm_summed']);
  });

  it('give the same values', () => {
    const groups = Object.values(graphs).flatMap((graph) => [...asked(graph).values()]);
    expect(groups.length).toBeGreaterThan(15);
    for (const { op, fused, unfused } of groups) {
      const typesOf = ({ outputs }: Group['fused']) => outputs.map(({ dtype, shape }) => ({ dtype, shape }));
      expect(typesOf(fused), op).toEqual(typesOf(unfused));
      const writtenBy = ({ graph }: Group['fused']) =>
        new Set(
          graph.nodes.flatMap(({ outputs }) =>
            outputs.filter(({ storage }) => storage === 'variable').map(({ name }) => name),
          ),
        );
      expect(writtenBy(fused), op).toEqual(writtenBy(unfused));
    }
  });
});
