// Every network of lib/models against PyTorch in float64 (see networks.py): the same weights, inputs and labels.
import { describe, expect, it } from 'vitest';
import {
  cifarPlain,
  highway19,
  inceptionV1,
  inceptionV2,
  ResNet,
  ResNetV2,
  resnet18Small,
  sigmoidMlp,
} from '../../lib/models/index.ts';
import type { Module } from '../../lib/nn/index.ts';
import type { Device } from '../../lib/program.ts';
import { openDevices } from '../support/devices.ts';
import { golden } from './images.ts';
import { errorsOf, type Golden, labelCount, type Precision } from './network-errors.ts';

const numClasses = labelCount;
const small = { numClasses, widthMultiplier: 0.25 };
const inception = { numClasses, widthMultiplier: 0.125, dropout: 0 };
const heads = { ...inception, auxiliaryHeads: true, dropoutAux: 0 };

const cases: Readonly<Record<string, () => Module>> = {
  'resnet-basic': () => new ResNet('basic', [1, 2, 1, 1], small),
  'resnet-v1.5': () => new ResNet('v1.5', [1, 2, 1, 1], small),
  'resnet-v1': () => new ResNet('v1', [1, 2, 1, 1], small),
  'resnetv2-slim': () => new ResNetV2('tfslim', [2, 2, 1, 1], small),
  'resnetv2-slim-map': () => new ResNetV2('tfslim', [1, 2], { ...small, includeRootBlock: false, globalPool: false }),
  'resnetv2-timm': () => new ResNetV2('timm', [2, 2, 1, 1], small),
  'inception-v2': () => inceptionV2(inception),
  'inception-v2-tfslim': () => inceptionV2({ ...inception, variant: 'tfslim', stem: 'separable' }),
  'inception-v2-sigmoid': () => inceptionV2({ ...inception, activation: 'sigmoid' }),
  'inception-v1': () => inceptionV1(inception),
  'inception-v1-heads': () => inceptionV1({ ...heads, imageSize: 65 }),
  'inception-v2-heads': () => inceptionV2({ ...heads, imageSize: 113 }),
  highway19: () => highway19(small),
  'sigmoid-mlp': () => sigmoidMlp({ numClasses }),
  'sigmoid-mlp-bn': () => sigmoidMlp({ numClasses, batchNorm: true }),
  'resnet18-small': () => resnet18Small(small),
  'cifar-plain14': () => cifarPlain({ depth: 14, numClasses }),
};

// Logits and loss relative, gradients relative to their 2-norm. In float32 a rounding error flips the sign of some
// activation near zero in many batches, in PyTorch as here, and moves single gradients by per cents (see resnet20.test.ts).
const tolerances = {
  float64: { logits: 1e-12, loss: 1e-12, gradients: { worst: 1e-9, median: 1e-11 } },
  float32: { logits: 1e-5, loss: 1e-5, gradients: { worst: 0.05, median: 0.02 } },
} as const;

const devices = openDevices();

describe.each(Object.keys(cases))('%s', (name) => {
  it('reference, float64', () => check(devices.reference, name, 'float64'), 120_000);
  it('cpu, float32', () => check(devices.cpu, name, 'float32'), 60_000);
});

async function check(device: Device, name: string, dtype: Precision): Promise<void> {
  const truth = golden<Golden>(`networks/${name}`);
  const { evaluation, outputs, loss, gradients } = await errorsOf(
    device,
    (cases[name] as () => Module)(),
    truth,
    dtype,
  );
  const tolerance = tolerances[dtype];
  expectNear('evaluation', evaluation, tolerance.logits);
  // Deep batch normalisation over few values makes rounding grow; PyTorch's float32 says by how much.
  for (const [head, error] of Object.entries(outputs)) {
    const grown = dtype === 'float32' ? 3 * (truth.peerErrors[head] as number) : 0;
    expectNear(head, error, Math.max(tolerance.logits, grown));
  }
  expectNear('loss', loss, tolerance.loss);
  expectNear('gradients, median', gradients.median, tolerance.gradients.median);
  expectNear(`gradients, worst (${gradients.worstName})`, gradients.worst, tolerance.gradients.worst);
}

function expectNear(what: string, error: number, allowed: number): void {
  if (process.env.GOLDEN_ERRORS) console.log(what, error, allowed);
  expect(error, what).toBeLessThanOrEqual(allowed);
}
