import { checkOptions, type Value } from '../graph/index.ts';
import { batchNorm, batchNormInference } from '../ops/index.ts';
import { size } from './check.ts';
import { constant } from './init.ts';
import { Buffer, Module, Parameter } from './module.ts';

export interface BatchNorm2dOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Share of the new batch in the running statistics, as in torch; Keras' momentum is one minus this. Default 0.1. */
  readonly momentum?: number;
}

/**
 * Batch normalisation per channel (Ioffe and Szegedy 2015): by the batch's statistics in a training graph, by the running
 * ones elsewhere and where frozen. Parameters `weight`, `bias`; buffers `running_mean`, `running_var`.
 */
export class BatchNorm2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly running_mean: Buffer;
  readonly running_var: Buffer;
  readonly eps: number;
  readonly momentum: number;

  constructor(numFeatures: number, options: BatchNorm2dOptions = {}) {
    super();
    checkOptions('BatchNorm2d', options, ['eps', 'momentum']);
    const { eps = 1e-5, momentum = 0.1 } = options;
    const shape = [size('BatchNorm2d', 'numFeatures', numFeatures)];
    this.weight = new Parameter({ shape, initialiser: constant(1) });
    this.bias = new Parameter({ shape, initialiser: constant(0) });
    this.running_mean = new Buffer({ shape, initialiser: constant(0) });
    this.running_var = new Buffer({ shape, initialiser: constant(1) });
    this.eps = eps;
    this.momentum = momentum;
  }

  override forward(x: Value): Value {
    const { graph } = x;
    const operands = {
      weight: this.weight.variable(graph),
      bias: this.bias.variable(graph),
      runningMean: this.running_mean.variable(graph),
      runningVar: this.running_var.variable(graph),
      epsilon: this.eps,
    };
    if (!graph.training || this.frozen) return batchNormInference(x, operands);
    return batchNorm(x, { ...operands, momentum: this.momentum });
  }
}
