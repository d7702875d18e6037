import { describe, expect, it } from 'vitest';
import { autocast, Graph, gradient, type Value } from '../../lib/graph/index.ts';
import {
  add,
  batchNorm,
  conv2d,
  globalAvgPool,
  linear,
  maxPool2d,
  relu,
  softmaxCrossEntropy,
  topkCorrect,
} from '../../lib/ops/index.ts';

function opsAfter(graph: Graph, forward: number): string[] {
  return graph.nodes.slice(forward).map(({ op }) => op);
}

interface Net {
  readonly graph: Graph;
  readonly x: Value;
  readonly conv: Value;
  readonly fc: Value;
  readonly bias: Value;
  readonly logits: Value;
  readonly loss: Value;
}

/** conv -> relu -> (+ itself) -> pool -> linear -> loss */
function net(graph = new Graph({ training: true })): Net {
  const x = graph.input('x', { shape: [2, 3, 8, 8], format: 'activation' });
  const labels = graph.input('labels', { shape: [2], dtype: 'int32' });
  const conv = graph.variable('conv', { shape: [4, 3, 3, 3], format: 'filter' });
  const fc = graph.variable('fc', { shape: [5, 4] });
  const bias = graph.variable('bias', { shape: [5] });
  const y = relu(graph.scope('conv', () => conv2d(x, conv, { padding: 1 })));
  const logits = linear(globalAvgPool(add(y, y)), fc, { bias });
  const loss = graph.name(softmaxCrossEntropy(logits, labels), 'loss');
  return { graph, x, conv, fc, bias, logits, loss };
}

describe('gradient', () => {
  it('goes backward, weight before data, adding up at fan-outs, skipping what is not wanted', () => {
    const { graph, conv, fc, bias, loss } = net();
    const forward = graph.nodes.length;
    const gradients = gradient(loss, [conv, fc, bias]);
    expect(opsAfter(graph, forward)).toEqual([
      'fill',
      'softmax_cross_entropy_grad',
      'bias_grad',
      'linear_wgrad',
      'linear_dgrad',
      'global_avg_pool_grad',
      'add',
      'relu_grad',
      'conv2d_wgrad',
    ]);
    expect(gradients.map(({ name }) => name)).toEqual(['grad.conv', 'grad.fc', 'grad.bias']);
    expect(gradients.map(({ shape }) => shape)).toEqual([conv.shape, fc.shape, bias.shape]);
    expect(gradients[0]?.producer?.path).toBe('conv');
  });

  it('stops at the last wanted value', () => {
    const { graph, bias, loss } = net();
    const forward = graph.nodes.length;
    gradient(loss, [bias]);
    expect(opsAfter(graph, forward)).toEqual(['fill', 'softmax_cross_entropy_grad', 'bias_grad']);
  });

  it('reaches inputs', () => {
    const { x, loss } = net();
    const [dx] = gradient(loss, [x]);
    expect(dx).toMatchObject({ shape: x.shape, format: 'activation', name: 'grad.x' });
  });

  it('of the loss itself is one', () => {
    const { loss } = net();
    expect(gradient(loss, [loss])[0]?.producer?.op).toBe('fill');
  });

  it('leaves branches alone that end elsewhere', () => {
    const { graph, logits, conv, loss } = net();
    topkCorrect(logits, graph.find('labels'), { k: 1 });
    const forward = graph.nodes.length;
    gradient(loss, [conv]);
    expect(opsAfter(graph, forward)).not.toContain('topk_correct_grad');
  });

  it('uses what the forward pass saved', () => {
    const graph = new Graph({ training: true });
    const x = graph.input('x', { shape: [2, 3, 8, 8], format: 'activation' });
    const w = graph.variable('w', { shape: [3] });
    const statistics = {
      runningMean: graph.variable('m', { shape: [3] }),
      runningVar: graph.variable('v', { shape: [3] }),
    };
    const y = maxPool2d(batchNorm(x, { weight: w, bias: graph.variable('b', { shape: [3] }), ...statistics }), {
      kernel: 2,
    });
    const labels = graph.input('labels', { shape: [2], dtype: 'int32' });
    gradient(softmaxCrossEntropy(globalAvgPool(y), labels), [w]);
    const names = (op: string) => graph.nodes.find((node) => node.op === op)?.inputs.map(({ name }) => name);
    expect(names('max_pool2d_grad')).toEqual(['global_avg_pool_grad', 'max_pool2d_1']);
    expect(names('batch_norm_grad')).toEqual(['max_pool2d_grad', 'x', 'w', 'batch_norm_1', 'batch_norm_2']);
  });

  it('of parameters is float32 where the forward pass is bfloat16', () => {
    const graph = autocast(net().graph, 'bfloat16');
    const [dconv, dfc] = gradient(graph.find('loss'), [graph.find('conv'), graph.find('fc')]);
    expect([dconv?.dtype, dfc?.dtype]).toEqual(['float32', 'float32']);
    expect(dconv?.producer?.op).toBe('conv2d_wgrad');
    expect(graph.find('grad.conv').producer?.inputs.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'bfloat16']);
  });

  it('names what has no influence on the loss', () => {
    const { graph, loss } = net();
    const other = graph.variable('other', { shape: [1] });
    expect(() => gradient(loss, [other])).toThrow("gradient: 'other' has no influence on 'loss'; leave it out");
  });

  it('wants a scalar loss', () => {
    const { logits, conv } = net();
    expect(() => gradient(logits, [conv])).toThrow(
      "the loss must be one floating-point number, 'linear' is float32 [2,5]",
    );
  });

  it('refuses integers and other graphs', () => {
    const { graph, loss } = net();
    expect(() => gradient(loss, [graph.find('labels')])).toThrow("'labels' is int32");
    expect(() => gradient(loss, [net().conv])).toThrow("'conv' belongs to another graph than the loss");
  });

  it('names an op without a gradient', () => {
    const graph = new Graph();
    const x = graph.input('x', { shape: [1] });
    const [y] = graph.scope('layer', () =>
      graph.emit('mystery', [x], [{ shape: [1], dtype: 'float32', format: 'plain' }]),
    );
    expect(() => gradient(y as Value, [x])).toThrow('gradient: mystery layer has no gradient');
  });
});
