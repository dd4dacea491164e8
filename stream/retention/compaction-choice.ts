/**
 * Which partitions compaction cleans, and in which order: pure, so that tests enumerate cases. Kafka's rules (LogCleanerManager.grabFilthiestCompactedLog):
 * a partition is due when its dirty ratio reaches the topic's, or when its oldest record that was never cleaned is older than the maximum lag; the dirtiest
 * comes first.
 */
export interface CompactionFacts {
  /** Sealed bytes that were cleaned before. */
  readonly cleanBytes: number
  /** Sealed bytes that were not, and may be now: old enough, and not held back by an open transaction. */
  readonly dirtyBytes: number
  /** Of the oldest record that was never cleaned, ms; undefined: there is none, or nobody asks. */
  readonly dirtySince: number | undefined
}

export interface CompactionLimits {
  readonly dirtyRatioMin: number
  /** Infinity: none. */
  readonly lagMsMax: number
}

/** Share of the sealed bytes that may be cleaned and were not, 0 to 1; 0 when nothing is sealed. */
export function dirtyRatio({ cleanBytes, dirtyBytes }: Pick<CompactionFacts, 'cleanBytes' | 'dirtyBytes'>): number {
  return dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes)
}

export function isCompactionDue(facts: CompactionFacts, limits: CompactionLimits, now: number): boolean {
  if (facts.dirtyBytes === 0) return false
  return dirtyRatio(facts) >= limits.dirtyRatioMin || isOverdue(facts, limits, now)
}

/** Whether the maximum lag is exceeded. */
export function isOverdue({ dirtySince }: Pick<CompactionFacts, 'dirtySince'>, { lagMsMax }: CompactionLimits, now: number): boolean {
  return dirtySince !== undefined && now - dirtySince > lagMsMax
}

/** The candidates that are due, dirtiest first. */
export function chooseCompactions<T extends { readonly facts: CompactionFacts; readonly limits: CompactionLimits }>(
  candidates: readonly T[],
  now: number,
): T[] {
  return candidates
    .filter(({ facts, limits }) => isCompactionDue(facts, limits, now))
    .sort((left, right) => dirtyRatio(right.facts) - dirtyRatio(left.facts))
}
