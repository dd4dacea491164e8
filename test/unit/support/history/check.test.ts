/**
 * Goal: each detector tells a history that has its anomaly from one that is just clean of it: the two differ in one thing, and that thing is what Kafka's
 * semantics (or the rule of a group) make of it.
 *
 * One file, although long: it is the table of all anomalies, a pair of short histories each, in the order in which the checker lists them.
 */
import { describe, expect, test } from 'vitest'
import type { AnomalyKind } from '../../../support/history/anomaly.ts'
import { checkHistory, describeFailures } from '../../../support/history/check.ts'
import { type HistoryEvent, pairEvents } from '../../../support/history/history.ts'
import { atomicAllows, type HistoryRules } from '../../../support/history/rules.ts'
import { HistoryScript } from '../../../support/history/script.ts'

/** The kinds found, each once, in order of the alphabet. */
function kindsOf({ events }: HistoryScript, rules?: HistoryRules): AnomalyKind[] {
  return [...new Set(checkHistory(events, rules).anomalies.map(({ kind }) => kind))].sort()
}

const script = (): HistoryScript => new HistoryScript()
/** Two acknowledged values and one whose fate nobody knows. */
const sent = (): HistoryScript => script().send('a', 'x', 0).send('a', 'y', 1).send('b', 'z', 'info')

describe('wrong reads', () => {
  test('G1a: a committed reader sees what failed or was aborted; an uncommitted one may see what was aborted', () => {
    expect(
      kindsOf(
        script()
          .send('a', 'x', 'fail')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual(['G1a'])
    expect(
      kindsOf(
        script()
          .send('a', 'x', 'info')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual([])
    const aborted = (): HistoryScript => script().send('a', 'x', 0, { transaction: 't' }).abort('a', 't')
    expect(kindsOf(aborted().poll('c', [[0, 'x']]))).toEqual(['G1a'])
    expect(kindsOf(aborted().poll('c', [[0, 'x']], { isolation: 'uncommitted' }))).toEqual([])
  })

  test('G1a: a transaction that was never asked to commit, or whose commit failed, is aborted; one whose commit is unknown may be read', () => {
    const open = (): HistoryScript => script().send('a', 'x', 0, { transaction: 't' })
    expect(kindsOf(open().poll('c', [[0, 'x']]))).toEqual(['G1a'])
    expect(
      kindsOf(
        open()
          .commit('a', 't', 'fail')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual(['G1a'])
    expect(
      kindsOf(
        open()
          .commit('a', 't', 'info')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual([])
    expect(
      kindsOf(
        open()
          .commit('a', 't', 'info')
          .commit('a', 't')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual([])
    expect(
      kindsOf(
        open()
          .commit('a', 't', 'info')
          .abort('a', 't')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual(['G1a'])
  })

  test('precommitted-read: a committed reader is served before the commit was asked for', () => {
    const open = (): HistoryScript => script().send('a', 'x', 0, { transaction: 't' })
    expect(
      kindsOf(
        open()
          .poll('c', [[0, 'x']])
          .commit('a', 't'),
      ),
    ).toEqual(['precommitted-read'])
    expect(
      kindsOf(
        open()
          .commit('a', 't')
          .poll('c', [[0, 'x']]),
      ),
    ).toEqual([])
    expect(
      kindsOf(
        open()
          .poll('c', [[0, 'x']], { isolation: 'uncommitted' })
          .commit('a', 't'),
      ),
    ).toEqual([])
    const during = open()
    const commit = during.invoke('a', { kind: 'commit', transaction: 't' })
    during.poll('c', [[0, 'x']])
    commit.ok()
    expect(kindsOf(during)).toEqual([])
  })

  test('precommitted-read: a transaction reads its own value', () => {
    const own = (transaction?: string): HistoryScript =>
      script()
        .send('a', 'x', 0, { transaction: 't' })
        .commit('a', 't')
        .poll('c', [[0, 'x']], transaction === undefined ? {} : { transaction })
    expect(kindsOf(own('t'))).toEqual(['precommitted-read'])
    expect(kindsOf(own())).toEqual([])
  })

  test('phantom: a value that nobody sent', () => {
    expect(kindsOf(sent().poll('c', [[0, 'w']]))).toContain('phantom')
    expect(kindsOf(sent().poll('c', [[2, 'z']]))).toEqual([])
  })
})

describe('places', () => {
  test('inconsistent-offsets: two values at one offset', () => {
    const second = (offset: number): HistoryScript =>
      sent()
        .poll('c', [
          [0, 'x'],
          [1, 'y'],
        ])
        .poll('d', [[offset, 'z']])
    expect(kindsOf(second(1))).toEqual(['inconsistent-offsets'])
    expect(kindsOf(second(2))).toEqual([])
  })

  test('inconsistent-offsets: an acknowledgement and the readers disagree', () => {
    expect(
      kindsOf(
        script()
          .send('a', 'x', 0)
          .poll('c', [[5, 'x']]),
      ),
    ).toContain('inconsistent-offsets')
    expect(
      kindsOf(
        script()
          .send('a', 'x', 5)
          .poll('c', [[5, 'x']]),
      ),
    ).toEqual([])
    expect(
      kindsOf(
        script()
          .send('a', 'x', 0)
          .poll('c', { 'p/1': [[0, 'x']] }),
      ),
    ).toContain('inconsistent-offsets')
  })

  test('duplicate: readers find one value at two offsets; the same offset twice is a reread', () => {
    const twice = (offset: number): HistoryScript =>
      script()
        .send('a', 'x', 0)
        .poll('c', [[0, 'x']])
        .poll('d', [[offset, 'x']])
    expect(kindsOf(twice(7))).toEqual(['duplicate'])
    expect(kindsOf(twice(0))).toEqual([])
  })
})

describe('losses', () => {
  test('lost-write: acknowledged, read over, never seen; not when its fate is unknown', () => {
    const lost = (middle: number | 'info' | 'fail'): HistoryScript =>
      script()
        .send('a', 'x', 0)
        .send('b', 'y', middle)
        .send('a', 'z', 2)
        .poll('c', [
          [0, 'x'],
          [2, 'z'],
        ])
    expect(kindsOf(lost(1))).toEqual(['int-poll-skip', 'lost-write'])
    expect(kindsOf(lost('info'))).toEqual([])
    expect(kindsOf(lost('fail'))).toEqual([])
    expect(kindsOf(lost(3))).toEqual([])
  })

  test('lost-write: a value that some reader saw is not lost, whoever skips it', () => {
    const { events } = sent()
      .poll('c', [[0, 'x']])
      .poll('d', [[1, 'y']])
    expect(checkHistory(events).anomalies).toEqual([])
  })

  test('lost-write: a transaction whose commit is unknown owes all of its values once one is seen', () => {
    const torn = (): HistoryScript =>
      script().send('a', 'x', 0, { transaction: 't' }).send('a', 'y', 1, { transaction: 't' }).commit('a', 't', 'info').send('a', 'z', 3)
    expect(
      kindsOf(
        torn().poll('c', [
          [0, 'x'],
          [3, 'z'],
        ]),
      ),
    ).toContain('lost-write')
    expect(
      kindsOf(
        torn()
          .assign('c', { 'p/0': 0 })
          .poll('c', [[3, 'z']]),
      ),
    ).toEqual([])
  })

  test('unseen: acknowledged before a reader asked, who then stood at the end without it', () => {
    const end = (isAtEnd: boolean, from = 0): HistoryScript =>
      script()
        .send('a', 'x', 0)
        .send('a', 'y', 1)
        .assign('c', { 'p/0': from })
        .poll('c', { 'p/0': [[0, 'x']] }, { isAtEnd })
    expect(kindsOf(end(true))).toEqual(['unseen'])
    expect(kindsOf(end(false))).toEqual([])
    const late = script().send('a', 'x', 0).assign('c', { 'p/0': 0 })
    const poll = late.invoke('c', { kind: 'poll', isolation: 'committed' })
    late.send('a', 'y', 1)
    poll.ok({ records: { 'p/0': [[0, 'x']] }, reachedEnd: ['p/0'] })
    expect(kindsOf(late)).toEqual([])
  })

  test('unseen: a value that was read once and is gone', () => {
    const vanished = script()
      .send('a', 'x', 0)
      .poll('d', [[0, 'x']])
      .assign('c', { 'p/0': 0 })
      .poll('c', { 'p/0': [] }, { isAtEnd: true })
    expect(kindsOf(vanished)).toEqual(['unseen'])
  })

  test('unseen: values of transactions whose acknowledgements name no offset', () => {
    const buffered = (outcome: 'ok' | 'info'): HistoryScript => {
      const history = script()
      history.invoke('a', { kind: 'send', value: 'x', partition: 'p/0', transaction: 't' }).ok()
      return history.commit('a', 't', outcome).assign('c', { 'p/0': 0 }).poll('c', { 'p/0': [] }, { isAtEnd: true })
    }
    expect(kindsOf(buffered('ok'))).toEqual(['unseen'])
    expect(kindsOf(buffered('info'))).toEqual([])
  })

  test('retention excuses what lies below its offset, from its call on', () => {
    const trimmed = (offset: number): HistoryScript =>
      sent()
        .note('r', { kind: 'trim', partition: 'p/0', offset })
        .assign('c', { 'p/0': 0 })
        .poll('c', { 'p/0': [[1, 'y']] }, { isAtEnd: true })
    expect(kindsOf(trimmed(1))).toEqual([])
    expect(kindsOf(trimmed(0))).toEqual(['lost-write', 'poll-skip', 'unseen'])
  })

  test('compaction excuses what has a newer record of its key, and tombstones', () => {
    const compacted = (key: string): HistoryScript =>
      script()
        .send('a', 'x', 0, { key })
        .send('a', 'y', 1, { key: 'k', isTombstone: true })
        .send('a', 'z', 2, { key: 'k' })
        .assign('c', { 'p/0': 0 })
        .poll('c', { 'p/0': [[2, 'z']] }, { isAtEnd: true })
    const rules: HistoryRules = { isCompacted: () => true }
    expect(kindsOf(compacted('k'), rules)).toEqual([])
    expect(kindsOf(compacted('k'))).toContain('unseen')
    expect(kindsOf(compacted('other'), rules)).toContain('unseen')
  })

  test('a crash excuses what was acknowledged with a weaker word, and its offset may be used again', () => {
    const crashed = (durability: 'sync' | 'buffered' | 'none', machine: boolean): HistoryScript =>
      script()
        .send('a', 'x', 0, { durability })
        .poll('c', [[0, 'x']])
        .note('chaos', { kind: 'crash', machine })
        .send('b', 'y', 0)
        .assign('d', { 'p/0': 0 })
        .poll('d', { 'p/0': [[0, 'y']] }, { isAtEnd: true })
    expect(kindsOf(crashed('buffered', true))).toEqual([])
    expect(kindsOf(crashed('none', false))).toEqual([])
    expect(kindsOf(crashed('sync', true))).toEqual(['inconsistent-offsets', 'unseen'])
    expect(kindsOf(crashed('buffered', false))).toEqual(['inconsistent-offsets', 'unseen'])
  })
})

test('what was written after a crash below what the crash took is skipped by no reader before it', () => {
  const crashed = (durability: 'sync' | 'buffered'): HistoryScript =>
    script()
      .send('a', 'x', 0)
      .send('a', 'y', 2, { durability })
      .poll('c', [
        [0, 'x'],
        [2, 'y'],
      ])
      .note('chaos', { kind: 'crash', machine: true })
      .send('b', 'z', 1)
      .assign('d', { 'p/0': 0 })
      .poll(
        'd',
        {
          'p/0': [
            [0, 'x'],
            [1, 'z'],
          ],
        },
        { isAtEnd: true },
      )
  expect(kindsOf(crashed('buffered'))).toEqual([])
  expect(kindsOf(crashed('sync'))).toEqual(['int-poll-skip', 'unseen'])
})

describe('order of polls', () => {
  /** Two polls of one reader, with something between them. */
  const polls = (between: (history: HistoryScript) => HistoryScript, second: readonly (readonly [number, string])[]): HistoryScript =>
    between(
      script()
        .send('a', 'v', 0)
        .send('a', 'w', 2)
        .send('a', 'x', 5)
        .send('a', 'y', 7)
        .poll('o', [
          [2, 'w'],
          [5, 'x'],
        ])
        .poll('c', [[0, 'v']]),
    ).poll('c', second)
  const nothing = (history: HistoryScript): HistoryScript => history

  test('poll-skip: a value between two polls is passed over; gaps of offsets are none', () => {
    expect(kindsOf(polls(nothing, [[5, 'x']]))).toEqual(['poll-skip'])
    expect(
      kindsOf(
        polls(nothing, [
          [2, 'w'],
          [5, 'x'],
        ]),
      ),
    ).toEqual([])
  })

  test('int-poll-skip: the same within one poll, and within one transaction', () => {
    expect(
      kindsOf(
        polls(nothing, [
          [2, 'w'],
          [7, 'y'],
        ]),
      ),
    ).toEqual(['int-poll-skip'])
    const within = sent()
      .send('a', 'u', 3)
      .poll('o', [
        [0, 'x'],
        [1, 'y'],
      ])
      .poll('c', [[0, 'x']], { transaction: 't' })
      .poll('c', [[3, 'u']], { transaction: 't' })
    expect(kindsOf(within)).toEqual(['int-poll-skip'])
  })

  test('nonmonotonic-poll: back, or the same again, without a seek', () => {
    expect(kindsOf(polls(nothing, [[0, 'v']]))).toEqual(['nonmonotonic-poll'])
    const back = polls(nothing, [[2, 'w']]).poll('c', [[0, 'v']])
    expect(kindsOf(back)).toEqual(['nonmonotonic-poll'])
  })

  test('int-nonmonotonic-poll: the same within one poll', () => {
    expect(
      kindsOf(
        polls(nothing, [
          [5, 'x'],
          [2, 'w'],
        ]),
      ),
    ).toContain('int-nonmonotonic-poll')
  })

  test('a seek, a rebalance, an assignment, a subscription and a crash excuse both', () => {
    const excuses: readonly ((history: HistoryScript) => HistoryScript)[] = [
      history => history.note('c', { kind: 'seek', partition: 'p/0' }),
      history => history.note('c', { kind: 'rebalance', revoked: ['p/0'], assigned: [] }),
      history => history.note('c', { kind: 'rebalance', revoked: [], assigned: ['p/0'] }),
      history => history.note('c', { kind: 'assign', partitions: ['p/1'] }),
      history => history.note('c', { kind: 'subscribe', topics: ['p'] }),
      history => history.note('chaos', { kind: 'crash', machine: false, processes: ['c'] }),
      history => {
        history.invoke('c', { kind: 'poll', isolation: 'committed' }).info()
        return history
      },
    ]
    for (const excuse of excuses) {
      expect(kindsOf(polls(excuse, [[5, 'x']]))).toEqual([])
      expect(kindsOf(polls(excuse, [[0, 'v']]))).toEqual([])
    }
  })

  test('what concerns another partition or another process excuses nothing', () => {
    const others: readonly ((history: HistoryScript) => HistoryScript)[] = [
      history => history.note('c', { kind: 'seek', partition: 'p/1', offset: 3 }),
      history => history.note('d', { kind: 'seek', partition: 'p/0' }),
      history => history.note('c', { kind: 'rebalance', revoked: ['p/1'], assigned: ['p/2'] }),
      history => history.note('c', { kind: 'assign', partitions: ['p/0', 'p/1'] }),
      history => history.note('chaos', { kind: 'crash', machine: false, processes: ['d'] }),
      history => {
        history.invoke('c', { kind: 'poll', isolation: 'committed' }).fail()
        history.invoke('c', { kind: 'seek', partition: 'p/0' }).fail()
        return history
      },
    ]
    for (const other of others) expect(kindsOf(polls(other, [[5, 'x']]))).toEqual(['poll-skip'])
  })

  test('what the group gave and took during a poll came before its records', () => {
    const during = (isAfter: boolean): HistoryScript => {
      const history = script()
        .send('a', 'v', 0)
        .send('a', 'w', 1)
        .poll('c', [
          [0, 'v'],
          [1, 'w'],
        ])
      const poll = history.invoke('c', { kind: 'poll', isolation: 'committed' })
      const rebalance = (): unknown => history.note('c', { kind: 'rebalance', revoked: ['p/0'], assigned: ['p/0'] })
      if (!isAfter) rebalance()
      poll.ok({ records: { 'p/0': [[0, 'v']] } })
      if (isAfter) rebalance()
      return history
    }
    expect(kindsOf(during(false))).toEqual([])
    expect(kindsOf(during(true))).toEqual(['nonmonotonic-poll'])
  })

  test('a seek to an offset begins there: a skip is told from it on, and what lies below it', () => {
    const seek =
      (offset: number): ((history: HistoryScript) => HistoryScript) =>
      history =>
        history.note('c', { kind: 'seek', partition: 'p/0', offset })
    expect(kindsOf(polls(seek(3), [[5, 'x']]))).toEqual([])
    expect(kindsOf(polls(seek(1), [[5, 'x']]))).toEqual(['poll-skip'])
    expect(kindsOf(polls(seek(6), [[5, 'x']]))).toEqual(['nonmonotonic-poll'])
  })

  test('committed readers pass over aborted values', () => {
    const history = script()
      .send('a', 'x', 0)
      .send('a', 'y', 1, { transaction: 't' })
      .abort('a', 't')
      .send('a', 'z', 3)
      .poll(
        'u',
        [
          [0, 'x'],
          [1, 'y'],
          [3, 'z'],
        ],
        { isolation: 'uncommitted' },
      )
      .poll('c', [
        [0, 'x'],
        [3, 'z'],
      ])
    expect(kindsOf(history)).toEqual([])
  })
})

describe('order of sends', () => {
  test('nonmonotonic-send: a later send of a producer lies lower; another producer may', () => {
    const later = (process: string, offset: number): HistoryScript => script().send('a', 'x', 5).send(process, 'y', offset)
    expect(kindsOf(later('a', 4))).toEqual(['nonmonotonic-send'])
    expect(kindsOf(later('b', 4))).toEqual([])
    expect(kindsOf(later('a', 9))).toEqual([])
  })

  test('nonmonotonic-send: offsets that only readers know count too', () => {
    const history = script()
      .send('a', 'x', 'info')
      .send('a', 'y', 'info')
      .poll('c', [
        [0, 'y'],
        [1, 'x'],
      ])
    expect(kindsOf(history)).toEqual(['nonmonotonic-send'])
  })

  const within = (second: number): HistoryScript =>
    script().send('a', 'x', 5, { transaction: 't' }).send('b', 'w', 6).send('a', 'y', second, { transaction: 't' }).commit('a', 't')

  test('int-nonmonotonic-send: the same within a transaction', () => {
    expect(kindsOf(within(4))).toEqual(['int-nonmonotonic-send'])
  })

  test('int-send-skip: another value lies between, which Kafka allows and one commit does not', () => {
    const { events } = within(7)
    expect(checkHistory(events).counts).toEqual({ 'int-send-skip': 1, G0: 1 })
    expect(checkHistory(events).failures).toEqual([])
    expect(checkHistory(events, { allowed: atomicAllows }).failures.map(({ kind }) => kind)).toEqual(['int-send-skip', 'G0'])
    const behind = script()
      .send('a', 'x', 5, { transaction: 't' })
      .send('a', 'y', 6, { transaction: 't' })
      .send('b', 'w', 7)
      .commit('a', 't')
    expect(kindsOf(behind)).toEqual([])
  })
})

describe('what proves and what excuses', () => {
  const open = (result: number | 'fail' | 'info' = 0): HistoryScript => script().send('a', 'x', result, { transaction: 't' })
  const toEnd = (history: HistoryScript, records: readonly (readonly [number, string])[] = []): HistoryScript =>
    history.assign('c', { 'p/0': 0 }).poll('c', { 'p/0': records }, { isAtEnd: true })

  test('its own read proves nothing of a transaction whose commit is unknown', () => {
    const own = open()
      .commit('a', 't', 'info')
      .poll('o', [[0, 'x']], { transaction: 't' })
    expect(kindsOf(toEnd(own))).toEqual(['precommitted-read'])
  })

  test('an uncommitted reader may see what its own transaction wrote', () => {
    expect(
      kindsOf(
        open()
          .poll('o', [[0, 'x']], { transaction: 't', isolation: 'uncommitted' })
          .commit('a', 't'),
      ),
    ).toEqual([])
  })

  test('a send that failed is not owed by its committed transaction, and nobody may see it; one of unknown fate may be there', () => {
    expect(kindsOf(toEnd(open('fail').commit('a', 't')))).toEqual([])
    expect(
      kindsOf(
        open('fail')
          .commit('a', 't')
          .poll('o', [[0, 'x']], { isolation: 'uncommitted' }),
      ),
    ).toEqual(['G1a'])
    expect(kindsOf(toEnd(open('info').commit('a', 't')))).toEqual([])
    expect(
      kindsOf(
        open('info')
          .commit('a', 't')
          .poll('o', [[0, 'x']]),
      ),
    ).toEqual([])
    expect(kindsOf(toEnd(open().commit('a', 't')))).toEqual(['unseen'])
  })

  test('retention excuses no poll before it', () => {
    const trim = (history: HistoryScript): HistoryScript => history.note('r', { kind: 'trim', partition: 'p/0', offset: 1 })
    expect(kindsOf(trim(toEnd(script().send('a', 'x', 0))))).toEqual(['unseen'])
    expect(kindsOf(toEnd(trim(script().send('a', 'x', 0))))).toEqual([])
  })

  test('compaction takes a tombstone without a newer record, and what a record of unknown fate may have replaced', () => {
    const rules: HistoryRules = { isCompacted: () => true }
    expect(kindsOf(toEnd(script().send('a', 'x', 0, { key: 'k', isTombstone: true })), rules)).toEqual([])
    expect(kindsOf(toEnd(script().send('a', 'x', 0, { key: 'k' }).send('b', 'y', 'info', { key: 'k' })), rules)).toEqual([])
    expect(kindsOf(toEnd(script().send('a', 'x', 0, { key: 'k' }).send('b', 'y', 'fail', { key: 'k' })), rules)).toEqual(['unseen'])
  })

  test('what a reader sees after an end was missing at that end', () => {
    const late = toEnd(script().send('a', 'x', 0)).poll('c', [[0, 'x']])
    expect(kindsOf(late)).toEqual(['unseen'])
  })

  test('a process that reads by both isolations has two positions', () => {
    const both = script()
      .send('a', 'x', 0)
      .send('a', 'y', 1)
      .poll('c', [
        [0, 'x'],
        [1, 'y'],
      ])
    expect(kindsOf(both.poll('c', [[0, 'x']], { isolation: 'uncommitted' }))).toEqual([])
  })
})

describe('cycles', () => {
  const both = (first: [number, number], second: [number, number]): HistoryScript =>
    script()
      .send('a', 'x', first[0], { transaction: 's' })
      .send('b', 'y', second[0], { transaction: 't' })
      .send('a', 'z', first[1], { transaction: 's', partition: 'p/1' })
      .send('b', 'w', second[1], { transaction: 't', partition: 'p/1' })
      .commit('a', 's')
      .commit('b', 't')

  test('G0: two transactions lie in opposite orders in two partitions', () => {
    expect(kindsOf(both([0, 5], [1, 4]))).toEqual(['G0'])
    expect(kindsOf(both([0, 4], [1, 5]))).toEqual([])
    expect(checkHistory(both([0, 5], [1, 4]).events).failures).toEqual([])
    expect(describeFailures(checkHistory(both([0, 5], [1, 4]).events, { allowed: atomicAllows }))).toMatch(
      /^G0: s wrote x in p\/0 before t wrote y/,
    )
  })

  const reading = (second: string): HistoryScript => {
    const history = script().send('a', 'x', 0, { transaction: 's' }).send('b', 'y', 0, { transaction: 't', partition: 'p/1' })
    const commits = ['s', 't'].map(transaction => history.invoke('a', { kind: 'commit', transaction }))
    history.poll('c', { 'p/1': [[0, 'y']] }, { transaction: 's' }).poll('d', { 'p/0': [[0, 'x']] }, { transaction: second })
    for (const commit of commits) commit.ok()
    return history
  }

  test('G1c: two transactions read each other; a third that reads one closes no cycle', () => {
    expect(kindsOf(reading('t'))).toEqual(['G1c'])
    const third = reading('u')
    third.commit('d', 'u')
    expect(kindsOf(third)).toEqual([])
  })

  test('G1c-ww: a transaction reads one that lies behind it', () => {
    const behind = (first: number, second: number): HistoryScript =>
      script()
        .send('a', 'x', first, { transaction: 's' })
        .send('b', 'y', second, { transaction: 't' })
        .send('b', 'z', 0, { transaction: 't', partition: 'p/1' })
        .commit('b', 't')
        .poll('c', { 'p/1': [[0, 'z']] }, { transaction: 's' })
        .commit('a', 's')
    expect(kindsOf(behind(0, 1))).toEqual(['G1c-ww'])
    expect(kindsOf(behind(1, 0))).toEqual([])
  })

  test('G2: each reads to the end before the other writes; a read that stops before the end says nothing', () => {
    const skew = (isAtEnd: boolean): HistoryScript =>
      script()
        .assign('c', { 'p/1': 0 })
        .assign('d', { 'p/0': 0 })
        .poll('c', { 'p/1': [] }, { transaction: 's', isAtEnd })
        .poll('d', { 'p/0': [] }, { transaction: 't', isAtEnd })
        .send('a', 'x', 0, { transaction: 's' })
        .send('b', 'y', 0, { transaction: 't', partition: 'p/1' })
        .commit('a', 's')
        .commit('b', 't')
    expect(kindsOf(skew(true))).toEqual(['G2'])
    expect(kindsOf(skew(false))).toEqual([])
  })
})

describe('promises of groups', () => {
  const groups: HistoryRules = {
    groups: {
      least: { promise: 'at-least-once', from: 'earliest' },
      late: { promise: 'at-least-once', from: 'latest' },
      most: { promise: 'at-most-once', from: 'earliest' },
      exactly: { promise: 'exactly-once', from: 'earliest' },
    },
  }

  test('group-lost: the group is past a value that no member processed', () => {
    const past = (group: string, isProcessed: boolean): HistoryScript => {
      const history = sent().poll('o', [
        [0, 'x'],
        [1, 'y'],
      ])
      const crashed = history.invoke('c', { kind: 'poll', isolation: 'committed', group })
      if (isProcessed) crashed.ok({ records: { 'p/0': [[0, 'x']] } })
      return history.poll('d', [[1, 'y']], { group })
    }
    expect(kindsOf(past('least', false), groups)).toEqual(['group-lost'])
    expect(kindsOf(past('exactly', false), groups)).toEqual(['group-lost'])
    expect(kindsOf(past('least', true), groups)).toEqual([])
    expect(kindsOf(past('most', false), groups)).toEqual([])
    expect(kindsOf(past('late', false), groups)).toEqual([])
  })

  test('group-lost: what an aborted transaction consumed is not processed', () => {
    const consumed = (isCommitted: boolean): HistoryScript => {
      const history = sent().poll('c', [[0, 'x']], { group: 'exactly', transaction: 't' })
      return (isCommitted ? history.commit('c', 't') : history.abort('c', 't')).poll('d', [[1, 'y']], { group: 'exactly' })
    }
    expect(kindsOf(consumed(false), groups)).toEqual(['group-lost'])
    expect(kindsOf(consumed(true), groups)).toEqual([])
  })

  test('group-duplicate: processed twice by a group that promises otherwise', () => {
    const again = (group: string): HistoryScript =>
      sent()
        .poll('c', [[0, 'x']], { group })
        .poll('d', [[0, 'x']], { group })
    expect(kindsOf(again('most'), groups)).toEqual(['group-duplicate'])
    expect(kindsOf(again('exactly'), groups)).toEqual(['group-duplicate'])
    expect(kindsOf(again('least'), groups)).toEqual([])
    expect(kindsOf(again('other'), groups)).toEqual([])
    const aborted = sent()
      .poll('c', [[0, 'x']], { group: 'exactly', transaction: 't' })
      .abort('c', 't')
      .poll('d', [[0, 'x']], { group: 'exactly' })
    expect(kindsOf(aborted, groups)).toEqual([])
  })
})

describe('what is no history', () => {
  const invoke: HistoryEvent = { type: 'invoke', operation: 0, process: 'a', time: 0, call: { kind: 'send', value: 'x' } }
  const ok: HistoryEvent = { type: 'ok', operation: 0, time: 1 }

  test('completions without calls, calls twice, and values that are sent twice are refused', () => {
    expect(() => pairEvents([ok])).toThrow('event 0: operation 0 is ok out of order')
    expect(() => pairEvents([invoke, invoke])).toThrow('event 1')
    expect(() => pairEvents([invoke, ok, ok])).toThrow('event 2')
    expect(() => checkHistory([invoke, { ...invoke, operation: 1 }])).toThrow('value x is sent twice')
  })

  test('a call that never completes is of unknown outcome', () => {
    expect(pairEvents([invoke])[0]).toMatchObject({ outcome: 'info', completedAt: Number.POSITIVE_INFINITY })
  })
})
