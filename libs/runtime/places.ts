/** Places that owners hold, such as for open streams. */
export type Places = {
  /**
   * Takes a place until it is disposed of. Throws a RangeError if the owner holds the maximum
   * already.
   */
  take(owner: string): Disposable;
};

/** Makes places: each owner may hold `ofOwner` at a time. */
export function createPlaces({ ofOwner }: { ofOwner: number }): Places {
  const held = new Map<string, number>();
  return {
    take: (owner) => {
      const count = held.get(owner) ?? 0;
      if (count >= ofOwner) throw new RangeError(`one owner holds ${ofOwner} places already`);
      held.set(owner, count + 1);
      let isHeld = true;
      return {
        [Symbol.dispose]: () => {
          if (!isHeld) return;
          isHeld = false;
          const left = (held.get(owner) ?? 0) - 1;
          if (left > 0) held.set(owner, left);
          else held.delete(owner);
        },
      };
    },
  };
}
