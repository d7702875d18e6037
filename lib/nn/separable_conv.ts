import { checkOptions, type Value } from '../graph/index.ts';
import type { WindowOptions } from '../ops/index.ts';
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
}

/** A depthwise convolution, which has the window, and a 1×1 convolution, without anything in between (Chollet 2017). */
export class SeparableConv2d extends Module {
  readonly depthwise: DepthwiseConv2d;
  readonly pointwise: Conv2d;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly [number, number],
    options: SeparableConv2dOptions = {},
  ) {
    super();
    checkOptions('SeparableConv2d', options, [...window, 'depthMultiplier', 'bias', 'initialiser']);
    const { bias = true, ...rest } = options;
    const { depthMultiplier = 1, initialiser } = rest;
    this.depthwise = new DepthwiseConv2d(inChannels, kernelSize, { ...rest, bias: false });
    this.pointwise = new Conv2d(inChannels * depthMultiplier, outChannels, 1, {
      bias,
      ...(initialiser && { initialiser }),
    });
  }

  override forward(x: Value): Value {
    return this.pointwise.call(this.depthwise.call(x));
  }
}
