/**
 * Checks the change feed of a machine with stores: read in pieces from where it was trimmed, in order, and put together again it gives every state of
 * the history that it reaches, and at its end the store.
 */
import type { Change } from '../../engine/store/changes.ts'
import { coreOf } from '../../engine/store/store.ts'
import { check, equal } from './compare.ts'
import { entriesIn, type Item, isIn, type Range, type StoreState, type Value } from './store-content.ts'
import type { StoreWorld } from './store-world.ts'

export function compareFeed(world: StoreWorld): void {
  const { main, random, now } = world
  const { log } = coreOf(main)
  const start = log.startOffset
  check(world.trims.includes(start), 'the feed begins where it was trimmed', start, ...world.trims)
  // Deletes of what expired lie between commits, so a trim is told apart from the state before it by what is in it alone.
  const base = world.history.findLast(({ state }) => state.feedEnd <= start)
  check(base !== undefined, 'the feed begins at a commit of the history', start)
  const content = new Map<string, Item>(base.state.main)
  const changes: Change<Value, string>[] = []
  let position = start
  while (position < log.highWatermark) {
    const limit = 1 + random.below(60)
    const batch = main.readChanges(position, { limit })
    check(batch.changes.length > 0 && batch.changes.length <= limit, 'a read of the feed gives changes', position, log.highWatermark)
    check(batch.position > position, 'a read of the feed moves on', position, batch.position)
    changes.push(...batch.changes)
    position = batch.position
  }
  equal(changes.length, position - start, 'changes of the feed')
  let next = 0
  let before = -1
  const later = world.history.filter(({ state }) => state.feedEnd > start && state.feedEnd <= position)
  for (const { sequence, state } of later) {
    for (; next < changes.length; next++) {
      const change = changes[next] as Change<Value, string>
      if (change.sequence >= sequence) break
      check(change.sequence > before, 'changes are in commit order', change.sequence, before)
      before = change.sequence
      apply(content, change, now)
    }
    compareStates(content, state, now, `the feed up to sequence ${sequence}`)
  }
  for (; next < changes.length; next++) {
    const change = changes[next] as Change<Value, string>
    check(change.type === 'del' && change.expired === true, 'what no commit of the model wrote has expired', change)
  }
}

function apply(content: Map<string, Item>, change: Change<Value, string>, now: number): void {
  if (change.type === 'put') content.set(change.key, { value: change.value, expiresAt: change.expiresAt ?? 0 })
  else if (change.type === 'del') {
    const { expiresAt = 0 } = content.get(change.key) ?? {}
    if (change.expired === true) check(expiresAt > 0 && expiresAt <= now, 'only what has expired is deleted as such', change)
    content.delete(change.key)
  } else {
    for (const key of content.keys()) if (isIn(key, change.range as Range)) content.delete(key)
  }
}

function compareStates(content: ReadonlyMap<string, Item>, state: StoreState, now: number, what: string): void {
  equal(JSON.stringify(entriesIn(content, {}, now)), JSON.stringify(entriesIn(state.main, {}, now)), what)
}
