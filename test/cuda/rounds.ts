import type { OpCase } from '../ops/operands.ts';

// cuDNN takes a bias in the type of the activation and gives the gradient of a filter in it; a fused convolution that is
// quicker in its parts leaves its sum in that type; see planned.cc.
export function rounds({ nodes }: OpCase): 'bias' | 'sum' | 'gradient' | undefined {
  if (nodes.some(({ op }) => op.startsWith('scaled_'))) return 'sum';
  if (nodes.some(({ op }) => op === 'conv2d_wgrad')) return 'gradient';
  if (nodes.some(({ op }) => op === 'conv2d_add_relu' || op.endsWith('_statistics'))) return 'sum';
  return nodes.some(({ op, inputs }) => /^(conv2d|linear)(_relu)?$/.test(op) && inputs.length === 3)
    ? 'bias'
    : undefined;
}
