/** A sender that is to be killed: `topic-victim.js <folder> <records> <batch>`. See `victim.ts`. */

import { fillTopic, openTopic } from './topics.ts'

const [, , folder = '', records = '', batch = ''] = process.argv
const { topic } = await openTopic(folder, 8)
await fillTopic(topic, Number(records), Number(batch), { valueBytes: 100, limit: 16 })
process.send?.({ records: topic.describe().partitions.reduce((sum, { highWatermark }) => sum + highWatermark, 0) })
process.on('disconnect', () => process.exit()) // a listener keeps the process alive, too
