// The small experiment of the batch-normalisation paper (Ioffe and Szegedy 2015, section 4.1): three fully connected layers
// of 100 sigmoid units on digits of 28x28, with and without BN.
import { checkOptions, type Value } from '../graph/index.ts';
import { BatchNorm2d, Conv2d, Flatten, init, Linear, Module, Sequential, Sigmoid } from '../nn/index.ts';
import { Classifier } from './classifier.ts';

export interface SigmoidMlpOptions {
  /** Default 10. */
  readonly numClasses?: number;
  /** Default 1. */
  readonly inChannels?: number;
  /** Side of the square pictures. Default 28. */
  readonly imageSize?: number;
  /** Default false. */
  readonly batchNorm?: boolean;
}

const units = 100;

/** A fully connected layer as a convolution over the whole map, so that BN sees channels; its BN; sigmoid. */
class Layer extends Module {
  readonly linear: Conv2d;
  readonly bn?: BatchNorm2d;
  readonly sigmoid = new Sigmoid();

  constructor(inChannels: number, map: number, batchNorm: boolean) {
    super();
    this.linear = new Conv2d(inChannels, units, map, { bias: !batchNorm, initialiser: init.normal(0, 0.1) });
    if (this.linear.bias) this.linear.bias.initialiser = init.constant(0);
    if (batchNorm) this.bn = new BatchNorm2d(units);
  }

  override forward(x: Value): Value {
    const y = this.linear.call(x);
    return this.sigmoid.call(this.bn?.call(y) ?? y);
  }
}

class SigmoidMlp extends Classifier {
  readonly headPath = 'fc';
  readonly layers: Sequential;
  readonly flatten = new Flatten();
  readonly fc: Linear;

  constructor({ numClasses = 10, inChannels = 1, imageSize = 28, batchNorm = false }: SigmoidMlpOptions) {
    super();
    const first = new Layer(inChannels, imageSize, batchNorm);
    this.layers = new Sequential(first, new Layer(units, 1, batchNorm), new Layer(units, 1, batchNorm));
    this.fc = new Linear(units, numClasses, { initialiser: init.normal(0, 0.1) });
  }

  override forward(x: Value): Value {
    return this.fc.call(this.flatten.call(this.layers.call(x)));
  }
}

export function sigmoidMlp(options: SigmoidMlpOptions = {}): Classifier {
  checkOptions('sigmoidMlp', options, ['numClasses', 'inChannels', 'imageSize', 'batchNorm']);
  return new SigmoidMlp(options);
}
