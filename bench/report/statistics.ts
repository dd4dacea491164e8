/**
 * What the samples of lanes (`../lanes.ts`) say: medians over the rounds, and ratios formed within a round, since the speed of the machine changes from one round to the next. A round in which a lane
 * failed has no sample of it.
 */

export type LaneSamples<S> = readonly (S | null)[]
/** A number of a sample, where it has one. */
export type SampleValue<S> = (sample: S) => number | undefined

export function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter(value => value !== undefined).sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  if (upper === undefined || sorted.length % 2 === 1) return upper
  return ((sorted[middle - 1] as number) + upper) / 2
}

export function middle<S>(samples: LaneSamples<S>, value: SampleValue<S>): number | undefined {
  return median(samples.map(sample => (sample === null ? undefined : value(sample))))
}

export function largest<S>(samples: LaneSamples<S>, value: SampleValue<S>): number | undefined {
  const present = samples.flatMap(sample => (sample === null ? [] : [value(sample)])).filter(found => found !== undefined)
  return present.length === 0 ? undefined : Math.max(...present)
}

/** Median over the rounds of the ratio to whichever of the others was best (had the largest value) in that round. */
export function ratioToBest<S>(own: LaneSamples<S>, others: readonly LaneSamples<S>[], value: SampleValue<S>): number | undefined {
  return median(
    own.map((sample, round) => {
      if (sample === null) return undefined
      const best = largest(
        others.map(other => other[round] ?? null),
        value,
      )
      const mine = value(sample)
      return best === undefined || mine === undefined ? undefined : mine / best
    }),
  )
}

/** The lane with the largest median. */
export function bestOf<L extends { readonly samples: LaneSamples<S> }, S>(lanes: readonly L[], value: SampleValue<S>): L | undefined {
  let best: { readonly lane: L; readonly value: number } | undefined
  for (const lane of lanes) {
    const found = middle(lane.samples, value)
    if (found !== undefined && (best === undefined || found > best.value)) best = { lane, value: found }
  }
  return best?.lane
}

/** Whether a measured number keeps the bounds; undefined without one. */
export function isMet(
  { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: { readonly atLeast?: number; readonly atMost?: number },
  measured: number | undefined,
): boolean | undefined {
  return measured === undefined ? undefined : measured >= atLeast && measured <= atMost
}
