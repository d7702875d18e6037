import type { Value } from '../graph/index.ts';
import { add, concat, flatten, relu, sigmoid, softmax, tanh } from '../ops/index.ts';
import { Module } from './module.ts';

/** max(x, 0). */
export class ReLU extends Module {
  override forward(x: Value): Value {
    return relu(x);
  }
}

/** 1 / (1 + exp(-x)). */
export class Sigmoid extends Module {
  override forward(x: Value): Value {
    return sigmoid(x);
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  override forward(x: Value): Value {
    return tanh(x);
  }
}

/** Softmax over the rows of [N, K]. */
export class Softmax extends Module {
  override forward(x: Value): Value {
    return softmax(x);
  }
}

/** [N, C, H, W] to [N, C·H·W]. */
export class Flatten extends Module {
  override forward(x: Value): Value {
    return flatten(x);
  }
}

export class Identity extends Module {
  override forward(x: Value): Value {
    return x;
  }
}

/** The sum of its two inputs. */
export class Add extends Module {
  override forward(a: Value, b: Value): Value {
    return add(a, b);
  }
}

/** Its inputs [N, Cᵢ, H, W], one after the other along the channels. */
export class Concat extends Module {
  override forward(...inputs: [Value, ...Value[]]): Value {
    return concat(inputs);
  }
}
