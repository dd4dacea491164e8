/**
 * Fills a topic in a process of its own and closes it, so that what a reader needs is measured without what writing took: `topic-filler.js <folder> <records>
 * <batch> <valueBytes> <keys>`. See `topics.ts`.
 */

import { fillTopic, openTopic } from './topics.ts'

const [, , folder = '', records = '', batch = '', valueBytes = '', keys = ''] = process.argv
const { db, topic } = await openTopic(folder, 8, Number(keys))
await fillTopic(topic, Number(records), Number(batch), { valueBytes: Number(valueBytes), limit: 16, keys: Number(keys) })
await db.close()
process.send?.({ records: Number(records) }, () => process.disconnect())
