from bijlighar.bench.measuring import CPU, ELAPSED, Stopwatch, least_cpu_ns


class TestLeastCpuNs:
    def test_gives_each_round_fresh_material(self):
        seen: list[list[int]] = []

        least = least_cpu_ns(list, lambda material: (material.append(1), seen.append(material)), rounds=3)

        assert seen == [[1], [1], [1]]
        assert least >= 0


class TestStopwatch:
    def test_adds_its_blocks(self):
        watch = Stopwatch()
        with watch:
            sum(range(1000))
        first = watch.of(CPU), watch.of(ELAPSED)
        with watch:
            sum(range(1000))

        assert watch.of(CPU) >= first[0] >= 0
        assert watch.of(ELAPSED) > first[1] > 0
