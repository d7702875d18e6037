import { checkOptions, type Value } from '../graph/index.ts';
import { lerp } from '../ops/index.ts';
import { size } from './check.ts';
import { Conv2d } from './conv.ts';
import { ReLU, Sigmoid } from './elementwise.ts';
import { constant } from './init.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';

export interface HighwayOptions {
  /** Makes the unit convolutional, over [N, C, H, W] of `size` channels; without, it is dense, over [N, size]. */
  readonly kernelSize?: number;
  /** Where the bias of the transform gate begins: below zero, so that a deep net begins by carrying. Default -2. */
  readonly gateBias?: number;
  /** Of H. Default ReLU. */
  readonly activation?: Module;
}

/** y = H(x) · T(x) + x · (1 - T(x)) with T a sigmoid (Srivastava et al. 2015); `transform` is H's layer, `gate` T's. */
export class Highway extends Module {
  readonly transform: Module;
  readonly gate: Module;
  readonly activation: Module;
  readonly sigmoid = new Sigmoid();

  constructor(channels: number, options: HighwayOptions = {}) {
    super();
    checkOptions('Highway', options, ['kernelSize', 'gateBias', 'activation']);
    const { kernelSize, gateBias = -2, activation = new ReLU() } = options;
    size('Highway', 'channels', channels);
    const layer = () =>
      kernelSize === undefined
        ? new Linear(channels, channels)
        : new Conv2d(channels, channels, kernelSize, { padding: 'same' });
    const gate = layer();
    if (gate.bias) gate.bias.initialiser = constant(gateBias);
    this.transform = layer();
    this.gate = gate;
    this.activation = activation;
  }

  override forward(x: Value): Value {
    const h = this.activation.call(this.transform.call(x));
    return lerp(x, h, this.sigmoid.call(this.gate.call(x)));
  }
}
