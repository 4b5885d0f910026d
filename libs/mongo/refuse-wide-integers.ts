const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

declare global {
  interface BigInt {
    toBSON(): bigint;
  }
}

/**
 * Refuses, with a RangeError, every bigint that BSON cannot hold: the driver would silently wrap
 * it, 2^63 to −2^63. Its serializer calls `toBSON` of every value in a command, and there is no
 * other hook; so this module changes `BigInt.prototype`, and stores need no check.
 */
Object.defineProperty(BigInt.prototype, 'toBSON', {
  value(this: bigint): bigint {
    if (this < int64.min || this > int64.max) {
      throw new RangeError('an integer does not fit into 64 bits: BSON would wrap it');
    }
    return this;
  },
});
