// The peer of the benchmark: a Kafka Streams application that reads the same slices of marks, puts every mark through its store, and
// applies the same rate rule. Exactly once, two threads, changelog on. Its state of a pupil is as small as the rule allows (two counts
// and a level): unlike ours it keeps no mark, no time of revision and no evidence, and cannot take a correction in.
//
// Arguments: brokers, application id, topic, output topic, store (memory, memory-cached, rocksdb-cached), minimum of possible sessions,
// the codes that are attendance (comma between), the codes that are absence, state folder.

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;

public final class Peer {
    private static final AtomicBoolean BEGUN = new AtomicBoolean();
    private static final byte NOTHING = 0;
    private static final byte ATTENDED = 1;
    private static final byte ABSENT = 2;

    public static void main(String[] arguments) throws InterruptedException {
        String store = arguments[4];
        int minimum = Integer.parseInt(arguments[5]);
        byte[] kinds = new byte[256];
        for (String code : arguments[6].split(",")) kinds[Integer.parseInt(code)] = ATTENDED;
        for (String code : arguments[7].split(",")) kinds[Integer.parseInt(code)] = ABSENT;

        StoreBuilder<KeyValueStore<Long, byte[]>> pupils = Stores.keyValueStoreBuilder(
            store.startsWith("memory") ? Stores.inMemoryKeyValueStore("pupils") : Stores.persistentKeyValueStore("pupils"),
            Serdes.Long(), Serdes.ByteArray()).withLoggingEnabled(Map.of());
        if (store.endsWith("cached")) pupils = pupils.withCachingEnabled();
        Topology topology = new Topology();
        topology.addSource("marks", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), arguments[2]);
        topology.addProcessor("rule", () -> new Rule(minimum, kinds), "marks");
        topology.addStateStore(pupils, "rule");
        topology.addSink("alerts", arguments[3], Serdes.Long().serializer(), Serdes.ByteArray().serializer(), "rule");

        KafkaStreams streams = new KafkaStreams(topology, settings(arguments, store));
        CountDownLatch stop = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            System.out.println("state " + now + " " + System.currentTimeMillis());
            if (now == KafkaStreams.State.ERROR) stop.countDown();
        });
        streams.setGlobalStateRestoreListener(new Restoring());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(30))));
        streams.start();
        stop.await();
        System.exit(1);
    }

    private static Properties settings(String[] arguments, String store) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[8]);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, store.endsWith("cached") ? 1L << 30 : 0L);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Tuned.class);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.MAX_REQUEST_SIZE_CONFIG), 4 << 20);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_BYTES_CONFIG), 64 << 20);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        return settings;
    }

    /** The store's settings: a block cache of 1 GiB, bloom filters, three write buffers of 64 MiB. */
    public static final class Tuned implements RocksDBConfigSetter {
        private static final LRUCache CACHE = new LRUCache(1L << 30);
        private static final BloomFilter BLOOM = new BloomFilter();

        @Override
        public void setConfig(String name, Options options, Map<String, Object> all) {
            BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
            table.setBlockCache(CACHE);
            table.setFilterPolicy(BLOOM);
            options.setTableFormatConfig(table);
            options.setWriteBufferSize(64L << 20);
            options.setMaxWriteBufferNumber(3);
        }

        @Override
        public void close(String name, Options options) {}
    }

    /** Says when the restore of stores from their changelogs begins, and when a store has it. */
    private static final class Restoring implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long first, long last) {
            System.out.println("restoring " + System.currentTimeMillis());
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long last, long count) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long count) {
            System.out.println("restored " + System.currentTimeMillis());
        }
    }

    /** The rule: absence of possible sessions, 5%, 10% and 50%, from a minimum of possible sessions on. */
    private static final class Rule implements Processor<byte[], byte[], Long, byte[]> {
        private final int minimum;
        private final byte[] kinds;
        private ProcessorContext<Long, byte[]> context;
        private KeyValueStore<Long, byte[]> pupils;

        Rule(int minimum, byte[] kinds) {
            this.minimum = minimum;
            this.kinds = kinds;
        }

        @Override
        public void init(ProcessorContext<Long, byte[]> context) {
            this.context = context;
            this.pupils = context.getStateStore("pupils");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            if (BEGUN.compareAndSet(false, true)) System.out.println("begun " + System.currentTimeMillis());
            ByteBuffer slice = ByteBuffer.wrap(record.value()).order(ByteOrder.LITTLE_ENDIAN);
            while (slice.hasRemaining()) {
                ByteBuffer event = field(slice, 1);
                if (event == null) continue;
                while (event.hasRemaining()) {
                    ByteBuffer part = field(event, 1);
                    if (part != null) part(part, record.timestamp());
                }
            }
        }

        private void part(ByteBuffer part, long at) {
            ByteBuffer upns = null;
            ByteBuffer codes = null;
            while (part.hasRemaining()) {
                int key = (int) varint(part);
                ByteBuffer value = value(part, key & 7);
                if (key >> 3 == 5) upns = value;
                if (key >> 3 == 6) codes = value;
            }
            while (upns != null && codes != null && codes.hasRemaining()) {
                mark(upns.getLong(), kinds[codes.get() & 255], at);
            }
        }

        private void mark(long upn, byte kind, long at) {
            if (kind == NOTHING) return;
            byte[] before = pupils.get(upn);
            ByteBuffer state = ByteBuffer.allocate(9);
            int possible = 1;
            int absent = kind == ABSENT ? 1 : 0;
            byte held = 0;
            if (before != null) {
                ByteBuffer old = ByteBuffer.wrap(before);
                possible += old.getInt();
                absent += old.getInt();
                held = old.get();
            }
            byte level = level(possible, absent);
            state.putInt(possible).putInt(absent).put(level);
            pupils.put(upn, state.array());
            if (level != held) context.forward(new Record<>(upn, state.array(), at));
        }

        private byte level(int possible, int absent) {
            if (possible < minimum) return 0;
            if (absent * 2 >= possible) return 3;
            if (absent * 10 >= possible) return 2;
            if (absent * 20 >= possible) return 1;
            return 0;
        }

        /** The next field where it has this number and is a message; null for any other. */
        private static ByteBuffer field(ByteBuffer from, int number) {
            int key = (int) varint(from);
            ByteBuffer value = value(from, key & 7);
            return key >> 3 == number && (key & 7) == 2 ? value : null;
        }

        private static ByteBuffer value(ByteBuffer from, int kind) {
            int length = switch (kind) {
                case 0 -> -1;
                case 1 -> 8;
                case 2 -> (int) varint(from);
                case 5 -> 4;
                default -> throw new IllegalArgumentException("no wire type " + kind);
            };
            if (length < 0) {
                varint(from);
                return null;
            }
            ByteBuffer value = from.slice(from.position(), length).order(ByteOrder.LITTLE_ENDIAN);
            from.position(from.position() + length);
            return value;
        }

        private static long varint(ByteBuffer from) {
            long value = 0;
            for (int shift = 0; ; shift += 7) {
                byte next = from.get();
                value |= (long) (next & 127) << shift;
                if (next >= 0) return value;
            }
        }
    }
}
