import { ArgumentError, checkOptions, type Value } from '../graph/index.ts';
import { type Conv2dOptions as ConvolutionOptions, conv2d } from '../ops/index.ts';
import { size } from './check.ts';
import { fans, type Initialiser, kaimingNormal, uniformByFan } from './init.ts';
import { Module, Parameter } from './module.ts';

export interface Conv2dOptions extends Omit<ConvolutionOptions, 'bias'> {
  /** Default true, as in torch. */
  readonly bias?: boolean;
  /** Of the weight. Default: Kaiming normal, fan-out, for ReLU, as torchvision's ResNets. */
  readonly initialiser?: Initialiser;
}

/** Two-dimensional convolution; parameters `weight` [out, in / groups, kh, kw] and `bias` [out]. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias?: Parameter;
  readonly options: Omit<ConvolutionOptions, 'bias'>;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly [number, number],
    options: Conv2dOptions = {},
  ) {
    super();
    checkOptions('Conv2d', options, ['stride', 'padding', 'dilation', 'groups', 'bias', 'initialiser']);
    const { bias = true, initialiser = kaimingNormal({ mode: 'fanOut' }), ...window } = options;
    const groups = size('Conv2d', 'groups', window.groups ?? 1);
    size('Conv2d', 'inChannels', inChannels);
    size('Conv2d', 'outChannels', outChannels);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      const channels = `inChannels=${inChannels} and outChannels=${outChannels}`;
      throw new ArgumentError(`Conv2d: groups must divide ${channels}, got ${groups}`);
    }
    const kernel = typeof kernelSize === 'object' ? kernelSize : [kernelSize, kernelSize];
    if (kernel.length !== 2)
      throw new ArgumentError(`Conv2d: kernelSize must be one number or [h, w], got [${kernel}]`);
    const shape = [outChannels, inChannels / groups, ...kernel.map((extent) => size('Conv2d', 'kernelSize', extent))];
    this.weight = new Parameter({ shape, format: 'filter', initialiser });
    if (bias) this.bias = new Parameter({ shape: [outChannels], initialiser: uniformByFan(fans(shape).fanIn) });
    this.options = window;
  }

  override forward(x: Value): Value {
    return conv2d(x, this.weight.variable(x.graph), { ...this.options, bias: this.bias?.variable(x.graph) });
  }
}
