/**
 * A writer that is to be killed: `victim.js <folder> <records> <batch>`. Opens with a commit log so large that nothing is flushed, appends,
 * tells its parent when everything is durable, and waits for the end; without a parent it ends by itself.
 */

import { RecordSource } from '../records.ts'
import { fill, openWithLogs } from './database.ts'
import { tailOptions } from './recovery.ts'

const [, , folder = '', records = '', batch = ''] = process.argv
const { logs } = await openWithLogs(folder, 1, tailOptions(Number(records)))
await fill(logs, new RecordSource(Number(batch)), Number(records) / Number(batch))
process.send?.({ records: logs[0]?.durableOffset })
process.on('disconnect', () => process.exit()) // a listener keeps the process alive, too
