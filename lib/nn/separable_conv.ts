import { checkOptions, type Value } from '../graph/index.ts';
import { composeSeparable, conv2d, type WindowOptions } from '../ops/index.ts';
import { size } from './check.ts';
import { Conv2d } from './conv.ts';
import type { Initialiser } from './init.ts';
import { Module } from './module.ts';

const window = ['stride', 'padding', 'dilation'];

export interface DepthwiseConv2dOptions extends WindowOptions {
  /** Outputs per input channel: output c · depthMultiplier + j is the j-th of channel c. Default 1. */
  readonly depthMultiplier?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Of the weight. Default as in Conv2d. */
  readonly initialiser?: Initialiser;
}

/** Convolution of every channel by itself; parameters `weight` [in · depthMultiplier, 1, kh, kw] and `bias`. */
export class DepthwiseConv2d extends Conv2d {
  constructor(
    inChannels: number,
    kernelSize: number | readonly [number, number],
    options: DepthwiseConv2dOptions = {},
  ) {
    checkOptions('DepthwiseConv2d', options, [...window, 'depthMultiplier', 'bias', 'initialiser']);
    const { depthMultiplier = 1, ...rest } = options;
    size('DepthwiseConv2d', 'depthMultiplier', depthMultiplier);
    super(inChannels, inChannels * depthMultiplier, kernelSize, { ...rest, groups: inChannels });
  }
}

export interface SeparableConv2dOptions extends WindowOptions {
  /** Channels between the two convolutions per input channel. Default 1. */
  readonly depthMultiplier?: number;
  /** Of the pointwise convolution; the depthwise one has none. Default true. */
  readonly bias?: boolean;
  /** Of both weights. Default as in Conv2d. */
  readonly initialiser?: Initialiser;
  /**
   * Whether a step makes one dense filter of both and convolves once: more products, but on kernels that like few input
   * channels better. Default: up to 4 input channels, which is what pictures have.
   */
  readonly composed?: boolean;
}

/** A depthwise convolution, which has the window, and a 1×1 convolution, without anything in between (Chollet 2017). */
export class SeparableConv2d extends Module {
  readonly depthwise: DepthwiseConv2d;
  readonly pointwise: Conv2d;
  readonly #composed: boolean;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly [number, number],
    options: SeparableConv2dOptions = {},
  ) {
    super();
    checkOptions('SeparableConv2d', options, [...window, 'depthMultiplier', 'bias', 'initialiser', 'composed']);
    const { bias = true, composed = inChannels <= 4, ...rest } = options;
    const { depthMultiplier = 1, initialiser } = rest;
    this.depthwise = new DepthwiseConv2d(inChannels, kernelSize, { ...rest, bias: false });
    this.pointwise = new Conv2d(inChannels * depthMultiplier, outChannels, 1, {
      bias,
      ...(initialiser && { initialiser }),
    });
    this.#composed = composed;
  }

  override forward(x: Value): Value {
    const { depthwise, pointwise } = this;
    if (!this.#composed) return pointwise.call(depthwise.call(x));
    const [depth, point, bias] = [depthwise.weight, pointwise.weight, pointwise.bias].map((p) => p?.variable(x.graph));
    const { groups, ...window } = depthwise.options;
    return conv2d(x, composeSeparable(depth as Value, point as Value, groups as number), { ...window, bias });
  }
}
