package org.ds2edge;

import java.util.Arrays;

/** The symbols that the paths have said. Each entry refers to the one before it. */
final class PathRecord {
    int size;
    int[] parent = new int[1024];
    int[] node = new int[1024];
    int[] step = new int[1024];

    int add(int before, int said, int at) {
        if (size == parent.length) {
            parent = Arrays.copyOf(parent, 2 * size);
            node = Arrays.copyOf(node, 2 * size);
            step = Arrays.copyOf(step, 2 * size);
        }
        parent[size] = before;
        node[size] = said;
        step[size] = at;
        return size++;
    }

    /** The entries of a path, from the first to {@code trace}. */
    int[] path(int trace) {
        int length = 0;
        for (int entry = trace; entry >= 0; entry = parent[entry]) {
            length++;
        }
        int[] path = new int[length];
        for (int entry = trace; entry >= 0; entry = parent[entry]) {
            path[--length] = entry;
        }
        return path;
    }

    /** Drops all entries that no token needs, and gives the tokens the new numbers of theirs. */
    void forget(Tokens... needing) {
        int[] numbers = new int[size]; // 1: needed; then the new number
        for (Tokens tokens : needing) {
            for (int i = 0; i < tokens.size; i++) {
                if (tokens.traces[i] >= 0) {
                    numbers[tokens.traces[i]] = 1;
                }
            }
        }
        for (int entry = size - 1; entry >= 0; entry--) { // an entry comes after its parent
            if (numbers[entry] == 1 && parent[entry] >= 0) {
                numbers[parent[entry]] = 1;
            }
        }
        int kept = 0;
        for (int entry = 0; entry < size; entry++) {
            if (numbers[entry] == 1) {
                parent[kept] = parent[entry] < 0 ? -1 : numbers[parent[entry]];
                node[kept] = node[entry];
                step[kept] = step[entry];
                numbers[entry] = kept++;
            }
        }
        size = kept;
        for (Tokens tokens : needing) {
            for (int i = 0; i < tokens.size; i++) {
                tokens.traces[i] = tokens.traces[i] < 0 ? -1 : numbers[tokens.traces[i]];
            }
        }
    }
}
