// Held MIB: holds that many MiB after a collection, says "ready", and waits until its input ends.
public class Held {
    static byte[][] held;

    public static void main(String[] args) throws Exception {
        held = new byte[16 * Integer.parseInt(args[0])][];
        for (int i = 0; i < held.length; i++) {
            held[i] = new byte[1 << 16];
        }
        System.gc();
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
    }
}
